/* SPDX-License-Identifier: MIT */
/*
 * list.h - intrusive lists: a circular doubly linked one, and a FIFO of single links.
 *
 * Neither allocates, locks or knows what it links. An unlinked node of the doubly linked list
 * points at itself, so that removing twice is harmless and "is it linked?" is a question.
 */
#ifndef ROTI_LIST_H
#define ROTI_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The struct that embeds `member` at `pointer`. */
#define roti_container_of(pointer, type, member)                                                   \
    ((type *)((char *)(pointer)-offsetof(type, member)))

/* A node, and equally the head of a list. */
struct roti_list {
    struct roti_list *next;
    struct roti_list *prev;
};

static inline void roti_list_init(struct roti_list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool roti_list_empty(const struct roti_list *list)
{
    return list->next == list;
}

static inline void roti_list_push_back(struct roti_list *list, struct roti_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void roti_list_remove(struct roti_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    roti_list_init(node);
}

/* The oldest node, unlinked; NULL when the list is empty. */
static inline struct roti_list *roti_list_pop_front(struct roti_list *list)
{
    if (roti_list_empty(list))
        return NULL;
    struct roti_list *node = list->next;
    roti_list_remove(node);
    return node;
}

/* One link of a FIFO. */
struct roti_link {
    struct roti_link *next;
};

/* First in, first out; owner only. */
struct roti_fifo {
    struct roti_link *head;
    struct roti_link **tail; /* where the next link is written; &head when empty */
};

static inline void roti_fifo_init(struct roti_fifo *fifo)
{
    fifo->head = NULL;
    fifo->tail = &fifo->head;
}

static inline bool roti_fifo_empty(const struct roti_fifo *fifo)
{
    return fifo->head == NULL;
}

static inline void roti_fifo_push(struct roti_fifo *fifo, struct roti_link *link)
{
    link->next = NULL;
    *fifo->tail = link;
    fifo->tail = &link->next;
}

static inline struct roti_link *roti_fifo_pop(struct roti_fifo *fifo)
{
    struct roti_link *link = fifo->head;
    if (link == NULL)
        return NULL;
    fifo->head = link->next;
    if (fifo->head == NULL)
        fifo->tail = &fifo->head;
    return link;
}

/* The newest link; NULL when empty. */
static inline struct roti_link *roti_fifo_last(const struct roti_fifo *fifo)
{
    return fifo->head != NULL ? roti_container_of(fifo->tail, struct roti_link, next) : NULL;
}

/* Moves all of `from` behind what `fifo` holds; `from` is empty afterwards. */
static inline void roti_fifo_append(struct roti_fifo *fifo, struct roti_fifo *from)
{
    if (from->head == NULL)
        return;
    *fifo->tail = from->head;
    fifo->tail = from->tail;
    roti_fifo_init(from);
}

#endif
