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
    /* A counter, as optimisers may have that correct their first steps. */
    engine->slots[engine->slot_count++] = (qg_slot){.name = "steps", .counter = &engine->steps};
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
    assert_true(tape.size >= (from->slot_count - 1) * bytes + sizeof from->steps);
    tape = qg_tape_to_read(tape.bytes, tape.size);
    pass(&tape, to);
    assert_true(qg_tape_complete(&tape));
    assert_int_equal(to->steps, from->steps);
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

static void test_engine(void **state)
{
    (void)state;
    check_engine(true, QG_RMSPROP_CENTRED);
    check_engine(false, QG_RMSPROP_CENTRED);
    check_engine(false, QG_NO_OPTIMISER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_engine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
