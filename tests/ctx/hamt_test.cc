/* SPDX-License-Identifier: MIT */
/*
 * hamt_test.cc - the persistent map beside std::map: what is put, found, removed, shared.
 */
#include "tests/ctx/fixtures.h"

#include "ctx/hamt_impl.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace {

using namespace ctx_test;
using Model = std::map<rota_context_var *, void *>;

/* Owns one reference to a root. Values are counted, if their variables count them. */
class Map {
public:
    Map() = default;
    Map(const Map &other) : root_(other.root_)
    {
        roti_map_ref(root_, 1);
    }
    Map(Map &&other) noexcept : root_(other.root_)
    {
        other.root_ = nullptr;
    }
    Map &operator=(Map other)
    {
        std::swap(root_, other.root_);
        return *this;
    }
    ~Map()
    {
        roti_map_unref(root_, 1);
    }

    /* 0 or -ENOMEM, and then unchanged. */
    int put(rota_context_var *var, void *value, bool alone = true)
    {
        roti_map_change change;
        roti_var_retain_value(var, value);
        int r = roti_map_assoc(root_, alone, var, value, &change);
        if (r < 0) {
            roti_var_release_value(var, value);
            return r;
        }
        finish(var, change);
        return 0;
    }
    int remove(rota_context_var *var, bool alone = true)
    {
        roti_map_change change;
        int r = roti_map_without(root_, alone, var, &change);
        if (r == 0)
            finish(var, change);
        return r;
    }
    void *at(const rota_context_var *var, void *missing = val(-1)) const
    {
        void *value = missing;
        return roti_map_find(root_, var, &value) ? value : missing;
    }
    std::size_t len() const
    {
        return roti_map_len(root_);
    }
    Model contents() const
    {
        Model model;
        EXPECT_EQ(0, roti_map_iterate(
                         root_,
                         [](rota_context_var *var, void *value, void *arg) {
                             EXPECT_TRUE(static_cast<Model *>(arg)->emplace(var, value).second);
                             return 0;
                         },
                         &model));
        return model;
    }
    roti_map *root() const
    {
        return root_;
    }

private:
    void finish(rota_context_var *var, const roti_map_change &change)
    {
        root_ = change.root;
        roti_map_unref(change.dropped, 1);
        if (change.old == ROTI_MAP_MOVED)
            roti_var_release_value(var, change.old_value);
    }

    roti_map *root_ = nullptr;
};

bool operator==(const Map &left, const Map &right)
{
    return roti_map_equal(left.root(), right.root());
}

/* Checks what the layout promises: packed places, their index, sizes, depth. */
std::uint32_t check_shape(const roti_map *node, unsigned level = 0)
{
    std::uint32_t pairs = 0;
    EXPECT_LE(level, ROTI_MAP_LEVELS);
    EXPECT_GT(node->used, 0u);
    EXPECT_EQ(level == ROTI_MAP_LEVELS, node->kind == ROTI_MAP_COLLISION);
    if (node->kind == ROTI_MAP_ARRAY) {
        std::uint32_t used = 0;
        for (std::uint32_t place = 0; place < ROTI_MAP_WIDTH; place++) {
            const roti_map *child = roti_map_children(node)[place];
            if (child == nullptr)
                continue;
            used++;
            pairs += check_shape(child, level + 1);
        }
        EXPECT_EQ(used, node->used);
        EXPECT_EQ(pairs, node->size);
        return pairs;
    }
    EXPECT_LE(node->used, node->capacity);
    if (node->kind == ROTI_MAP_BITMAP) {
        EXPECT_EQ(static_cast<std::uint32_t>(__builtin_popcount(node->bitmap)), node->used);
    }
    for (std::uint32_t i = 0; i < node->used; i++) {
        const roti_map_entry &entry = roti_map_entries(node)[i];
        if (entry.var == nullptr)
            pairs += check_shape(entry.child, level + 1);
        else
            pairs++;
        if (entry.var != nullptr && node->kind == ROTI_MAP_BITMAP) {
            std::uint32_t place = roti_map_place(entry.var->hash, level);
            EXPECT_TRUE(roti_map_has_place(node, place));
            EXPECT_EQ(i, node->index[place]);
        }
    }
    EXPECT_EQ(pairs, node->size);
    return pairs;
}

void expect_same(const Model &model, const Map &map)
{
    ASSERT_EQ(model.size(), map.len());
    EXPECT_EQ(model, map.contents());
    for (auto [var, value] : model)
        EXPECT_EQ(value, map.at(var));
    if (map.root() != nullptr)
        check_shape(map.root());
}

class HamtTest : public CtxTest {};

TEST_F(HamtTest, EmptyMapIsNullAndCostsNothing)
{
    Map map;
    Var var;
    EXPECT_EQ(nullptr, map.root());
    EXPECT_EQ(0u, map.len());
    EXPECT_EQ(val(-1), map.at(var));
    EXPECT_EQ(0, map.remove(var));
    EXPECT_EQ(nullptr, map.root());
    EXPECT_TRUE(map == Map());
    roti_map_ref(nullptr, 5);
    roti_map_unref(nullptr, 5);
}

TEST_F(HamtTest, PutReplaceRemove)
{
    Map map;
    Var a("a"), b("b"), c("c");
    EXPECT_EQ(0, map.put(a, val(1)));
    EXPECT_EQ(0, map.put(b, val(2)));
    EXPECT_EQ(0, map.put(a, val(3)));
    expect_same({{a, val(3)}, {b, val(2)}}, map);
    EXPECT_EQ(val(-1), map.at(c));
    EXPECT_EQ(0, map.remove(c));
    EXPECT_EQ(0, map.remove(a));
    expect_same({{b, val(2)}}, map);
    EXPECT_EQ(0, map.remove(b));
    EXPECT_EQ(nullptr, map.root());
}

TEST_F(HamtTest, FirstVariablesOfAProgramShareOneNode)
{
    Map map;
    std::vector<Var> vars;
    for (std::uint32_t i = 0; i < ROTI_MAP_WIDTH; i++) {
        vars.emplace_back("v", 1000 * ROTI_MAP_WIDTH + i);
        EXPECT_EQ(0, map.put(vars[i], val(i)));
    }
    EXPECT_EQ(ROTI_MAP_BITMAP, map.root()->kind);
    EXPECT_EQ(ROTI_MAP_WIDTH, map.root()->used);
    Model model;
    for (std::uint32_t i = 0; i < ROTI_MAP_WIDTH; i++)
        model[vars[i]] = val(i);
    expect_same(model, map);
}

TEST_F(HamtTest, RemovingAnAbsentVariableGivesTheSameRoot)
{
    Map map;
    Var a("a", 1), b("b", 33), c("c", 2);
    EXPECT_EQ(0, map.put(a, val(1)));
    roti_map *root = map.root();
    Map shared = map;
    EXPECT_EQ(0, map.remove(b)); /* the same place, another variable */
    EXPECT_EQ(0, map.remove(c)); /* an empty place */
    EXPECT_EQ(root, map.root());
}

/* Equal hashes: a chain of seven nodes, then a collision node. */
TEST_F(HamtTest, EqualHashesCollide)
{
    constexpr std::uint32_t hash = 0xdeadbeef;
    Map map;
    Model model;
    std::vector<Var> vars;
    for (int i = 0; i < 40; i++) {
        vars.emplace_back("same", hash);
        EXPECT_EQ(0, map.put(vars.back(), val(i)));
        model[vars.back()] = val(i);
        expect_same(model, map);
    }
    Var absent("absent", hash), near_miss("near", hash ^ 0x80000000u);
    EXPECT_EQ(val(-1), map.at(absent));
    EXPECT_EQ(val(-1), map.at(near_miss));
    EXPECT_EQ(0, map.remove(absent));
    EXPECT_EQ(0, map.put(near_miss, val(99)));
    model[near_miss] = val(99);
    expect_same(model, map);
    EXPECT_EQ(0, map.put(vars[7], val(700)));
    model[vars[7]] = val(700);

    Map shared = map;
    Model before = model;
    for (int i = 0; i < 40; i++) {
        EXPECT_EQ(0, map.remove(vars[i]));
        model.erase(vars[i]);
        expect_same(model, map);
    }
    expect_same(before, shared);
    EXPECT_EQ(1u, map.len());
    EXPECT_EQ(ROTI_MAP_BITMAP, map.root()->kind);
    EXPECT_EQ(near_miss, roti_map_entries(map.root())[0].var); /* the chain was folded up */
}

TEST_F(HamtTest, PairsOfOneChainMoveUpWhenAlone)
{
    Var a("a", 0x00000001), b("b", 0x00000021), c("c", 0x00000401);
    Map map;
    EXPECT_EQ(0, map.put(a, val(1)));
    EXPECT_EQ(0, map.put(b, val(2)));
    EXPECT_EQ(0, map.put(c, val(3))); /* meets a on level 2 */
    expect_same({{a, val(1)}, {b, val(2)}, {c, val(3)}}, map);
    EXPECT_EQ(0, map.remove(c));
    expect_same({{a, val(1)}, {b, val(2)}}, map);
    EXPECT_EQ(0, map.remove(b));
    expect_same({{a, val(1)}}, map);
    EXPECT_EQ(a, roti_map_entries(map.root())[0].var);
}

/* 32 pairs, then 32 children, then few again: both changes of kind, owned and shared. */
TEST_F(HamtTest, NodesBecomeArraysAndBitmapsAgain)
{
    for (bool share : {false, true}) {
        Map map;
        Model model;
        std::vector<Var> vars;
        std::vector<Map> kept;
        for (std::uint32_t i = 0; i < 4 * ROTI_MAP_WIDTH; i++)
            vars.emplace_back("v", i);
        for (std::uint32_t i = 0; i < vars.size(); i++) {
            if (share)
                kept.push_back(map);
            EXPECT_EQ(0, map.put(vars[i], val(i)));
            model[vars[i]] = val(i);
            expect_same(model, map);
        }
        EXPECT_EQ(ROTI_MAP_ARRAY, map.root()->kind);
        for (std::uint32_t i = 0; i < vars.size(); i++) {
            if (share)
                kept.push_back(map);
            EXPECT_EQ(0, map.remove(vars[(i * 37) % vars.size()]));
            model.erase(vars[(i * 37) % vars.size()]);
            expect_same(model, map);
        }
        EXPECT_EQ(nullptr, map.root());
        for (std::size_t i = 0; i < kept.size(); i++)
            EXPECT_EQ(std::min(i, 2 * vars.size() - i), kept[i].len());
    }
}

TEST_F(HamtTest, EqualityIsByContentNotByHistory)
{
    std::vector<Var> vars;
    for (std::uint32_t i = 0; i < 100; i++)
        vars.emplace_back("v", i);
    Map up, down;
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(0, up.put(vars[i], val(i)));
        EXPECT_EQ(0, down.put(vars[99 - i], val(99 - i)));
    }
    EXPECT_TRUE(up == down);
    /* Shrunk to 20 pairs one is laid out as an array was, the other never was one. */
    for (int i = 20; i < 100; i++)
        EXPECT_EQ(0, up.remove(vars[i]));
    Map small;
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(0, small.put(vars[i], val(i)));
    EXPECT_TRUE(up == small);
    EXPECT_FALSE(up == down);
    EXPECT_EQ(0, small.put(vars[3], val(33)));
    EXPECT_FALSE(up == small);
    EXPECT_EQ(0, up.remove(vars[3]));
    EXPECT_EQ(0, up.put(vars[50], val(50)));
    EXPECT_FALSE(up == small); /* as many, but others */
    EXPECT_FALSE(up == Map());
}

TEST_F(HamtTest, IterationStopsWhereAsked)
{
    std::vector<Var> vars;
    Map map;
    for (std::uint32_t i = 0; i < 100; i++) {
        vars.emplace_back("v", i);
        EXPECT_EQ(0, map.put(vars[i], val(i)));
    }
    int seen = 0;
    EXPECT_EQ(17, roti_map_iterate(
                      map.root(),
                      [](rota_context_var *, void *, void *arg) {
                          return ++*static_cast<int *>(arg) == 17 ? 17 : 0;
                      },
                      &seen));
    EXPECT_EQ(17, seen);
}

/* A holder who is alone edits in place: same nodes, nothing allocated. */
TEST_F(HamtTest, OwnedMapIsEditedInPlace)
{
    std::vector<Var> vars;
    Map map;
    for (std::uint32_t i = 0; i < 5000; i++) {
        vars.emplace_back("v", i * 2654435761u);
        EXPECT_EQ(0, map.put(vars[i], val(i)));
    }
    roti_map *root = map.root();
    std::ptrdiff_t bytes = support::live_bytes();
    support::AllocationFailure none_allowed(0, support::Failing::all);
    for (std::uint32_t i = 0; i < 5000; i++)
        EXPECT_EQ(0, map.put(vars[i], val(i + 1)));
    EXPECT_FALSE(none_allowed.happened());
    EXPECT_EQ(root, map.root());
    EXPECT_EQ(bytes, support::live_bytes());

    roti_map_change change;
    EXPECT_TRUE(roti_map_replace(map.root(), vars[9], val(0), &change));
    EXPECT_EQ(ROTI_MAP_MOVED, change.old);
    EXPECT_EQ(val(10), change.old_value);
    EXPECT_EQ(val(0), map.at(vars[9]));
    Map shared = map;
    EXPECT_FALSE(roti_map_replace(map.root(), vars[9], val(1), &change));
    EXPECT_EQ(val(0), shared.at(vars[9]));
    EXPECT_EQ(-ENOMEM, map.put(vars[9], val(1))); /* now it has to copy */
    EXPECT_EQ(val(0), map.at(vars[9]));
}

/* In place at every depth: in a bitmap, below it, and among pairs of one hash at the bottom. */
TEST_F(HamtTest, ReplaceGoesDownToTheBottom)
{
    Var top("top", 0x01), low("low", 0x22), same("same", 0x02), twin("twin", 0x02);
    Var absent("absent", 0x02), beside("beside", 0x42), far("far", 0x03);
    Map map;
    for (rota_context_var *var : {(rota_context_var *)top, (rota_context_var *)low,
                                  (rota_context_var *)same, (rota_context_var *)twin})
        EXPECT_EQ(0, map.put(var, val(1)));
    roti_map *root = map.root();
    int next = 2;
    for (rota_context_var *var : {(rota_context_var *)top, (rota_context_var *)low,
                                  (rota_context_var *)same, (rota_context_var *)twin}) {
        roti_map_change change;
        EXPECT_TRUE(roti_map_replace(map.root(), var, val(next), &change));
        EXPECT_EQ(val(1), change.old_value);
        EXPECT_EQ(root, change.root);
        EXPECT_EQ(val(next++), map.at(var));
    }
    for (rota_context_var *var :
         {(rota_context_var *)absent, (rota_context_var *)beside, (rota_context_var *)far}) {
        roti_map_change change;
        EXPECT_FALSE(roti_map_replace(map.root(), var, val(9), &change));
        EXPECT_EQ(val(-1), map.at(var));
    }
    expect_same({{top, val(2)}, {low, val(3)}, {same, val(4)}, {twin, val(5)}}, map);
}

/* H52: the path is owned alone as a whole, or it is not owned: a shared child under an own root. */
TEST_F(HamtTest, SharedChildUnderOwnedRootIsCopied)
{
    Var a("a", 0x01), b("b", 0x21), c("c", 0x02), d("d", 0x22);
    Map map;
    for (rota_context_var *var : {(rota_context_var *)a, (rota_context_var *)b,
                                  (rota_context_var *)c, (rota_context_var *)d})
        EXPECT_EQ(0, map.put(var, val(1)));
    Map copy = map;
    EXPECT_EQ(0, copy.put(a, val(2))); /* an own root; the child of c and d is shared */
    roti_map *root = copy.root();
    EXPECT_EQ(0, copy.put(c, val(3)));
    EXPECT_EQ(root, copy.root());
    expect_same({{a, val(1)}, {b, val(1)}, {c, val(1)}, {d, val(1)}}, map);
    expect_same({{a, val(2)}, {b, val(1)}, {c, val(3)}, {d, val(1)}}, copy);
    EXPECT_EQ(0, copy.remove(d));
    EXPECT_EQ(0, copy.remove(b));
    expect_same({{a, val(2)}, {c, val(3)}}, copy);
    expect_same({{a, val(1)}, {b, val(1)}, {c, val(1)}, {d, val(1)}}, map);
}

/* A caller who is not alone by other means (others may look) never edits in place. */
TEST_F(HamtTest, NotAloneMeansCopied)
{
    Var a("a", 1), b("b", 33);
    Map map;
    EXPECT_EQ(0, map.put(a, val(1)));
    EXPECT_EQ(0, map.put(b, val(2)));
    roti_map *root = map.root();
    EXPECT_EQ(0, map.put(a, val(3), false)); /* the copy is made before the old root is dropped */
    EXPECT_NE(root, map.root());
    root = map.root();
    EXPECT_EQ(0, map.remove(b, false));
    EXPECT_NE(root, map.root());
    EXPECT_EQ(0, map.put(b, val(2)));
    expect_same({{a, val(3)}, {b, val(2)}}, map);
}

struct StressSetting {
    const char *name;
    std::uint32_t hash_mask;
    int vars;
};

class HamtStressTest : public testing::TestWithParam<StressSetting> {
protected:
    static void SetUpTestSuite()
    {
        support::at_test_end(park);
    }
};

/* Random operations on several versions of a map and their models, values counted. */
TEST_P(HamtStressTest, BesideStdMap)
{
    const StressSetting setting = GetParam();
    std::mt19937 random(4711);
    std::vector<std::unique_ptr<Counted>> values;
    for (int i = 0; i < 50; i++)
        values.push_back(std::make_unique<Counted>());
    rota_context_var_opts opts = counted_opts();
    std::vector<Var> vars;
    for (int i = 0; i < setting.vars; i++)
        vars.emplace_back("v", static_cast<std::uint32_t>(random()) & setting.hash_mask, &opts);
    {
        std::vector<Map> maps(4);
        std::vector<Model> models(4);
        std::int64_t steps = support::scale(60'000);
        for (std::int64_t step = 0; step < steps; step++) {
            std::size_t i = random() % 4;
            rota_context_var *var = vars[random() % vars.size()];
            /* Phases of growth and of shrinking. */
            bool growing = (step / (8 * setting.vars)) % 2 == 0;
            switch (random() % 16) {
            case 0: {
                std::size_t j = random() % 4;
                maps[i] = maps[j];
                models[i] = models[j];
                break;
            }
            default: {
                if (random() % 4 == (growing ? 0u : 1u) || !(growing || random() % 3 == 0)) {
                    ASSERT_EQ(0, maps[i].remove(var));
                    models[i].erase(var);
                } else {
                    void *value = values[random() % values.size()].get();
                    ASSERT_EQ(0, maps[i].put(var, value));
                    models[i][var] = value;
                }
                ASSERT_EQ(models[i].size(), maps[i].len());
                ASSERT_EQ(models[i].count(var) ? models[i][var] : val(-1), maps[i].at(var));
            }
            }
            if (step % 2048 == 0)
                for (std::size_t k = 0; k < 4; k++)
                    expect_same(models[k], maps[k]);
        }
        for (std::size_t k = 0; k < 4; k++)
            expect_same(models[k], maps[k]);
    }
    for (auto &value : values)
        EXPECT_EQ(0, value->held());
}

INSTANTIATE_TEST_SUITE_P(Hashes, HamtStressTest,
                         testing::Values(StressSetting{"Spread", 0xffffffffu, 400},
                                         StressSetting{"Dense", 0x1ffu, 400},
                                         StressSetting{"Colliding", 0xf0000003u, 100},
                                         StressSetting{"Few", 0x1fu, 20}),
                         [](const auto &setting) { return setting.param.name; });

/* Every k-th allocation failing: unchanged map, -ENOMEM, nothing lost. */
TEST_F(HamtTest, FailedAllocationChangesNothing)
{
    Counted value, other;
    rota_context_var_opts opts = counted_opts();
    std::vector<Var> vars;
    for (std::uint32_t i = 0; i < 33 + 17; i++)
        vars.emplace_back("v", i, &opts);
    for (std::uint32_t i = 0; i < 3; i++)
        vars.emplace_back("same", 0xffffffe5u, &opts);
    for (bool share : {false, true}) {
        support::sweep_allocations(
            [&] {
                Map map;
                for (Var &var : vars) {
                    Map before;
                    if (share)
                        before = map;
                    std::size_t len = map.len();
                    if (map.put(var, &value) < 0) {
                        EXPECT_EQ(len, map.len());
                        EXPECT_EQ(val(-1), map.at(var));
                        return -ENOMEM;
                    }
                }
                for (Var &var : vars) {
                    Map before, between;
                    if (share)
                        before = map;
                    int r = map.put(var, &other);
                    if (share && r == 0)
                        between = map; /* so that a removal has to copy, too */
                    if (r < 0 || map.remove(var) < 0) {
                        EXPECT_EQ(r < 0 ? &value : &other, map.at(var));
                        check_shape(map.root());
                        return -ENOMEM;
                    }
                }
                return 0;
            },
            support::Absorbing::allowed);
        EXPECT_EQ(0, value.held());
        EXPECT_EQ(0, other.held());
    }
}

} // namespace
