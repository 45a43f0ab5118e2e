/* YAML as trees: what a file becomes, with its lines, and as JSON. What is refused stands in
 * test_settings.c, whose files come this way. */
#include "base/yaml_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static qg_yaml *parse(const char *text)
{
    qg_yaml *root;
    qg_error error;
    if (qg_yaml_parse("a.yaml", text, strlen(text), &root, &error)) fail_msg("%s", error.message);
    return root;
}

static void test_nodes_know_their_lines(void **state)
{
    (void)state;
    qg_yaml *root = parse("# a comment\n"
                          "first: one\n"
                          "list:\n"
                          "  - 1\n"
                          "  - {a: b,\n"
                          "     c: 'd'}\n"
                          "empty: []\n");
    assert_int_equal(root->kind, QG_YAML_MAPPING);
    assert_int_equal(root->count, 3);
    assert_null(root->key);

    const qg_yaml *first = qg_yaml_get(root, "first");
    assert_non_null(first);
    assert_int_equal(first->kind, QG_YAML_SCALAR);
    assert_string_equal(first->text, "one");
    assert_int_equal(first->line, 2);
    assert_null(qg_yaml_get(root, "one"));

    const qg_yaml *list = qg_yaml_get(root, "list");
    assert_non_null(list);
    assert_int_equal(list->kind, QG_YAML_LIST);
    assert_int_equal(list->key_line, 3);
    assert_int_equal(list->line, 4);
    assert_int_equal(list->count, 2);
    assert_null(list->items[0].key);
    assert_string_equal(list->items[0].text, "1");
    const qg_yaml *quoted = qg_yaml_get(&list->items[1], "c");
    assert_non_null(quoted);
    assert_int_equal(quoted->key_line, 6);
    assert_true(quoted->quoted);
    assert_false(qg_yaml_get(&list->items[1], "a")->quoted);

    assert_int_equal(qg_yaml_get(root, "empty")->count, 0);
    qg_yaml_free(root);
    qg_yaml_free(NULL);
}

static void test_long_lists_keep_their_order(void **state)
{
    (void)state;
    char text[8000] = "[";
    for (int i = 0; i < 1000; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%d, ", i);
    strcat(text, "1000]");
    qg_yaml *root = parse(text);
    assert_int_equal(root->count, 1001);
    for (size_t i = 0; i < root->count; i++)
        assert_int_equal(atoi(root->items[i].text), i);
    qg_yaml_free(root);
}

static void test_as_json(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"25M", "25000000"},
        {"'25M'", "\"25M\""},
        {"25Mx", "\"25Mx\""},
        {"0.5", "0.5"},
        {"1e3", "1000.0"},
        {"yes", "true"},
        {"'yes'", "\"yes\""},
        {"false", "false"},
        {"~", "null"},
        {"\"\"", "\"\""},
        {"a:", "{\"a\":null}"},
        {"{b: [1, x], a: {c: no}}", "{\"b\":[1,\"x\"],\"a\":{\"c\":false}}"},
        {"[]", "[]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_yaml *root = parse(cases[i].yaml);
        json_t *json = qg_yaml_to_json(root);
        char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
        assert_non_null(text);
        assert_string_equal(text, cases[i].json);
        free(text);
        json_decref(json);
        qg_yaml_free(root);
    }
}

/* A document is the same as its expansion. */
static void test_aliases_and_merges(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"[&a 1, *a]", "[1,1]"},
        {"{x: &a [1, {b: c}], y: *a}", "{\"x\":[1,{\"b\":\"c\"}],\"y\":[1,{\"b\":\"c\"}]}"},
        {"[&a 1, &a 2, *a]", "[1,2,2]"}, /* the last */
        {"[&a [&a 1, *a], *a]", "[[1,1],1]"},
        {"[&a 'yes', *a]", "[\"yes\",\"yes\"]"},
        {"{&k key: 1, x: *k}", "{\"key\":1,\"x\":\"key\"}"},
        {"{x: &k key, *k : 1}", "{\"x\":\"key\",\"key\":1}"},
        {"[&a {x: 1, y: 2}, {<<: *a, z: 3}]", "[{\"x\":1,\"y\":2},{\"x\":1,\"y\":2,\"z\":3}]"},
        {"[&a {x: 1, y: 2}, {<<: *a, x: 3}]", "[{\"x\":1,\"y\":2},{\"x\":3,\"y\":2}]"},
        {"[&a {x: 1, y: 2}, {x: 3, <<: *a}]", "[{\"x\":1,\"y\":2},{\"x\":3,\"y\":2}]"},
        {"[&a {x: 1}, &b {x: 2, y: 3}, {<<: [*a, *b]}]",
         "[{\"x\":1},{\"x\":2,\"y\":3},{\"x\":1,\"y\":3}]"},
        {"[&a {x: 1}, &b {<<: *a, y: 2}, {<<: *b, x: 4}]",
         "[{\"x\":1},{\"x\":1,\"y\":2},{\"x\":4,\"y\":2}]"},
        {"[&a {x: 1}, &b [*a, {y: 2}], {<<: *b}]",
         "[{\"x\":1},[{\"x\":1},{\"y\":2}],{\"x\":1,\"y\":2}]"},
        {"{<<: {x: 1}, y: 2}", "{\"x\":1,\"y\":2}"},
        {"{'<<': 1}", "{\"<<\":1}"}, /* quoted it is a key as any other */
        {"[1_000, on, True, Null, '1_000']", "[1000,true,true,null,\"1_000\"]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_yaml *root = parse(cases[i].yaml);
        json_t *json = qg_yaml_to_json(root);
        char *text = json_dumps(json, JSON_COMPACT);
        assert_non_null(text);
        assert_string_equal(text, cases[i].json);
        free(text);
        json_decref(json);
        qg_yaml_free(root);
    }
    /* What was copied says where it stands; the order is that of the file. */
    qg_yaml *root = parse("base: &base\n  x: 1\n  y: 2\nmore:\n  a: 0\n  <<: *base\n  y: 3\n");
    const qg_yaml *const more = qg_yaml_get(root, "more");
    static const struct {
        const char *key;
        int key_line;
    } items[] = {{"a", 5}, {"x", 2}, {"y", 7}};
    assert_int_equal(more->count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(more->items[i].key, items[i].key);
        assert_int_equal(more->items[i].key_line, items[i].key_line);
    }
    qg_yaml_free(root);
}

/* Aliases of aliases, that would make 10^9 values or long texts a thousand times. */
static void test_what_multiplies_is_refused(void **state)
{
    (void)state;
    qg_yaml *root;
    qg_error error;
    char laughs[2000] = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
    for (int i = 1; i < 10; i++)
        snprintf(laughs + strlen(laughs), sizeof laughs - strlen(laughs),
                 "a%d: &a%d {<<: {x%d: [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]}}\n",
                 i, i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_int_equal(qg_yaml_parse("a.yaml", laughs, strlen(laughs), &root, &error),
                     QG_ERROR_USAGE);
    assert_null(root);
    const bool named =
        strstr(error.message, "nested too deeply") || strstr(error.message, "too many");
    assert_true(named);
    enum { LONG = 100000 };
    char *const text = malloc(LONG + 1000);
    assert_non_null(text);
    snprintf(text, 8, "[&a ");
    memset(text + 4, 'x', LONG);
    text[4 + LONG] = '\0';
    for (int i = 0; i < 20; i++)
        strcat(text + LONG, ", *a");
    strcat(text + LONG, "]");
    assert_int_equal(qg_yaml_parse("a.yaml", text, strlen(text), &root, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "a.yaml:1: the aliases (*name) make too many values"));
    free(text);
}

static void test_messages_name_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {"a: 1\nb: [1\nc: 2\n", "a.yaml:"},
        {"a: 1\n\na: 2\n", "a.yaml:3: a: stands twice, on line 1 first"},
        {"x: &x {a: 1}\ny:\n  <<: *x\n  a: 2\n  a: 3\n",
         "a.yaml:5: a: stands twice, on line 4 first"},
        {"x: &x {a: 1}\ny:\n  <<: *x\n  <<: *x\n",
         "a.yaml:4: <<: stands twice, on line 3 first: merge a list, <<: [*a, *b]"},
        {"x: &x 1\ny:\n  <<: *x\n", "a.yaml:1: <<: a mapping (*name) or a list of them is needed"},
        {"<<: [1]\n", "a.yaml:1: <<: a mapping"},
        {"<<:\n", "a.yaml:1: <<: a mapping"},
        {"x: &x {y: {<<: *x}}\n", "a.yaml:1: *x stands in what it names"},
        {"x: &x [1]\n*x : 2\n", "a.yaml:2: a key must be a plain word"},
        {"- &x [[[[1]]]]\n- [[[[*x]]]]\n", "a.yaml:2: nested too deeply"},
        {"", "a.yaml:1: nothing in it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_yaml *root;
        qg_error error;
        assert_int_equal(
            qg_yaml_parse("a.yaml", cases[i].yaml, strlen(cases[i].yaml), &root, &error),
            QG_ERROR_USAGE);
        assert_null(root);
        assert_memory_equal(error.message, cases[i].message, strlen(cases[i].message));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_know_their_lines),
        cmocka_unit_test(test_long_lists_keep_their_order),
        cmocka_unit_test(test_as_json),
        cmocka_unit_test(test_aliases_and_merges),
        cmocka_unit_test(test_what_multiplies_is_refused),
        cmocka_unit_test(test_messages_name_file_and_line),
    };
    return cmocka_run_group_tests_name("yaml_tree", tests, NULL, NULL);
}
