/* Checkpoints: what an engine says it holds goes over the tape and comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/checkpoint.h"

#include "reference.h"

static qg_engine *engine_for(const problem *p, bool target, qg_optimiser_kind optimiser)
{
    qg_engine *engine;
    must(qg_engine_create(
        &(qg_engine_options){
            .architecture = &p->a, .max_batch = 1, .target = target, .optimiser = optimiser},
        &engine, &error));
    return engine;
}

static void pass(qg_tape *tape, qg_engine *engine)
{
    qg_network room;
    must(qg_network_create(&engine->architecture, &room, &error));
    must(qg_tape_pass_engine(tape, engine, &room, &error));
    qg_network_free(&room);
}

static void check_engine(bool target, qg_optimiser_kind optimiser)
{
    problem p = problem_create(&shapes[4], 1, 3);
    const size_t bytes = qg_architecture_parameters(&p.a) * sizeof(float);
    qg_engine *from = engine_for(&p, target, optimiser), *to = engine_for(&p, target, optimiser);
    from->steps = 12345678901;
    for (size_t i = 0; i < from->slot_count; i++)
        if (!from->slots[i].counter)
            must(qg_engine_write(from, from->slots[i].set, &p.sets[from->slots[i].set], &error));
    qg_tape tape = qg_tape_to_write();
    pass(&tape, from);
    const bool counts = optimiser == QG_ADAM;
    assert_true(tape.size >= (from->slot_count - counts) * bytes);
    tape = qg_tape_to_read(tape.bytes, tape.size);
    pass(&tape, to);
    assert_true(qg_tape_complete(&tape));
    assert_int_equal(to->steps, counts ? from->steps : 0);
    for (size_t i = 0; i < to->slot_count; i++)
        if (!to->slots[i].counter) {
            must(qg_engine_read(to, to->slots[i].set, &p.sets[QG_GRADIENT], &error));
            assert_memory_equal(p.sets[QG_GRADIENT].parameters, p.sets[to->slots[i].set].parameters,
                                bytes);
        }
    qg_tape_free(&tape);
    qg_engine_destroy(from);
    qg_engine_destroy(to);
    problem_free(&p);
}

/* A state of one precision is none of another, and the message says so. */
static void test_precision(void **state)
{
    (void)state;
    static const char *const names[] = {"float32", "bf16"};
    problem p = problem_create(&shapes[4], 1, 3);
    qg_network room;
    must(qg_network_create(&p.a, &room, &error));
    for (int wrong = 0; wrong < 4; wrong++) {
        qg_engine *engines[2];
        for (int i = 0; i < 2; i++)
            must(qg_engine_create(&(qg_engine_options){.architecture = &p.a,
                                                       .precision = names[(wrong >> i) & 1],
                                                       .max_batch = 1},
                                  &engines[i], &error));
        must(qg_engine_write(engines[0], QG_ONLINE, &p.sets[QG_ONLINE], &error));
        qg_tape tape = qg_tape_to_write();
        must(qg_tape_pass_engine(&tape, engines[0], &room, &error));
        tape = qg_tape_to_read(tape.bytes, tape.size);
        const qg_status status = qg_tape_pass_engine(&tape, engines[1], &room, &error);
        if (wrong == 0 || wrong == 3) {
            must(status);
            assert_true(qg_tape_complete(&tape));
            must(qg_engine_read(engines[1], QG_ONLINE, &room, &error));
            assert_memory_equal(room.parameters, p.sets[QG_ONLINE].parameters,
                                qg_architecture_parameters(&p.a) * sizeof(float));
        } else {
            assert_int_equal(status, QG_ERROR_DATA);
            assert_string_equal(error.message,
                                wrong == 1 ? "a checkpoint of precision bf16, not of float32"
                                           : "a checkpoint of precision float32, not of bf16");
        }
        qg_tape_free(&tape);
        qg_engine_destroy(engines[0]);
        qg_engine_destroy(engines[1]);
    }
    qg_network_free(&room);
    problem_free(&p);
}

static void test_engine(void **state)
{
    (void)state;
    check_engine(true, QG_RMSPROP_CENTRED);
    check_engine(false, QG_RMSPROP_CENTRED);
    check_engine(true, QG_ADAM);
    check_engine(false, QG_NO_OPTIMISER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_engine),
                                       cmocka_unit_test(test_precision)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
