/* SPDX-License-Identifier: MIT */
/*
 * list_test.cc - intrusive lists and FIFOs, beside std::deque.
 */
#include "sched/base/list.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <random>
#include <vector>

namespace {

struct Item {
    int number = 0;
    roti_list node = {};
    roti_link link = {};
};

Item *of_node(roti_list *node)
{
    return node ? roti_container_of(node, Item, node) : nullptr;
}

Item *of_link(roti_link *link)
{
    return link ? roti_container_of(link, Item, link) : nullptr;
}

std::vector<Item *> contents(roti_list *list)
{
    std::vector<Item *> items;
    for (roti_list *node = list->next; node != list; node = node->next) {
        EXPECT_EQ(node, node->next->prev);
        EXPECT_EQ(node, node->prev->next);
        items.push_back(of_node(node));
    }
    return items;
}

TEST(List, IsEmptyAtFirstAndGivesNull)
{
    roti_list list;
    roti_list_init(&list);
    EXPECT_TRUE(roti_list_empty(&list));
    EXPECT_EQ(nullptr, roti_list_pop_front(&list));
}

TEST(List, ContainerOfFindsTheEmbeddingStruct)
{
    Item item;
    EXPECT_EQ(&item, of_node(&item.node));
    EXPECT_EQ(&item, of_link(&item.link));
}

TEST(List, RemovingTwiceIsHarmless)
{
    roti_list list;
    Item items[3];
    roti_list_init(&list);
    for (Item &item : items)
        roti_list_push_back(&list, &item.node);
    roti_list_remove(&items[1].node);
    EXPECT_TRUE(roti_list_empty(&items[1].node));
    roti_list_remove(&items[1].node);
    EXPECT_EQ((std::vector<Item *>{&items[0], &items[2]}), contents(&list));
}

TEST(List, APoppedNodeIsUnlinkedAndMayBePushedAgain)
{
    roti_list list;
    Item item;
    roti_list_init(&list);
    for (int i = 0; i < 3; i++) {
        roti_list_push_back(&list, &item.node);
        EXPECT_EQ(&item, of_node(roti_list_pop_front(&list)));
        EXPECT_TRUE(roti_list_empty(&item.node));
        EXPECT_TRUE(roti_list_empty(&list));
    }
}

TEST(List, BehavesAsADequeUnderRandomOperations)
{
    std::mt19937 random(1);
    std::array<Item, 40> items;
    std::deque<Item *> model;
    roti_list list;
    roti_list_init(&list);
    for (Item &item : items)
        roti_list_init(&item.node);
    for (int step = 0; step < 20'000; step++) {
        Item &item = items[random() % items.size()];
        switch (random() % 3) {
        case 0:
            if (roti_list_empty(&item.node)) {
                roti_list_push_back(&list, &item.node);
                model.push_back(&item);
            }
            break;
        case 1:
            roti_list_remove(&item.node);
            std::erase(model, &item);
            break;
        default:
            Item *expected = model.empty() ? nullptr : model.front();
            if (!model.empty())
                model.pop_front();
            ASSERT_EQ(expected, of_node(roti_list_pop_front(&list)));
            break;
        }
        ASSERT_EQ(model.empty(), roti_list_empty(&list));
    }
    EXPECT_EQ((std::vector<Item *>(model.begin(), model.end())), contents(&list));
}

TEST(Fifo, IsEmptyAtFirstAndGivesNull)
{
    roti_fifo fifo;
    roti_fifo_init(&fifo);
    EXPECT_TRUE(roti_fifo_empty(&fifo));
    EXPECT_EQ(nullptr, roti_fifo_pop(&fifo));
}

TEST(Fifo, AppendMovesAllAndLeavesTheOtherUsable)
{
    roti_fifo first;
    roti_fifo second;
    Item items[5];
    roti_fifo_init(&first);
    roti_fifo_init(&second);
    roti_fifo_append(&first, &second);
    EXPECT_TRUE(roti_fifo_empty(&first));

    roti_fifo_push(&second, &items[0].link);
    roti_fifo_push(&second, &items[1].link);
    roti_fifo_append(&first, &second);
    EXPECT_TRUE(roti_fifo_empty(&second));
    roti_fifo_append(&first, &second);
    roti_fifo_push(&first, &items[2].link);
    roti_fifo_push(&second, &items[3].link);
    roti_fifo_append(&first, &second);
    roti_fifo_push(&first, &items[4].link);
    for (Item &item : items)
        EXPECT_EQ(&item, of_link(roti_fifo_pop(&first)));
    EXPECT_TRUE(roti_fifo_empty(&first));
    EXPECT_TRUE(roti_fifo_empty(&second));
}

TEST(Fifo, BehavesAsTwoDequesUnderRandomOperations)
{
    std::mt19937 random(2);
    std::array<Item, 40> items;
    std::deque<Item *> unused;
    std::deque<Item *> model[2];
    roti_fifo fifo[2];
    roti_fifo_init(&fifo[0]);
    roti_fifo_init(&fifo[1]);
    for (Item &item : items)
        unused.push_back(&item);
    for (int step = 0; step < 20'000; step++) {
        unsigned side = random() % 2;
        switch (random() % 5) {
        case 0:
        case 1:
            if (!unused.empty()) {
                roti_fifo_push(&fifo[side], &unused.front()->link);
                model[side].push_back(unused.front());
                unused.pop_front();
            }
            break;
        case 2:
        case 3: {
            Item *item = of_link(roti_fifo_pop(&fifo[side]));
            ASSERT_EQ(model[side].empty() ? nullptr : model[side].front(), item);
            if (item) {
                model[side].pop_front();
                unused.push_back(item);
            }
            break;
        }
        default:
            roti_fifo_append(&fifo[side], &fifo[1 - side]);
            model[side].insert(model[side].end(), model[1 - side].begin(), model[1 - side].end());
            model[1 - side].clear();
            break;
        }
        ASSERT_EQ(model[0].empty(), roti_fifo_empty(&fifo[0]));
        ASSERT_EQ(model[1].empty(), roti_fifo_empty(&fifo[1]));
    }
}

} // namespace
