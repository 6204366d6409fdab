// SPDX-License-Identifier: MIT
// Intrusive lists: a FIFO of singly linked nodes and a doubly linked list with removal from the
// middle. Neither owns its nodes; a node is on one list at a time, which debug builds assert.
#pragma once

#include <cstddef>

#include "runtime/base/check.h"

namespace pirn::base {

// A FIFO over nodes with a member `T* next`. Invariant: head is null exactly when the size is 0.
template <class T>
class fifo {
  public:
    bool empty() const { return head_ == nullptr; }
    std::size_t size() const { return size_; }
    T* front() const { return head_; }

    void push_back(T* node) {
        node->next = nullptr;
        if (head_ == nullptr)
            head_ = node;
        else
            tail_->next = node;
        tail_ = node;
        ++size_;
    }
    T* pop_front() {
        T* node = head_;
        if (node == nullptr) return nullptr;
        head_ = node->next;
        node->next = nullptr;
        --size_;
        return node;
    }
    // Moves every node of `other` behind this list's, in order.
    void append(fifo&& other) {
        if (other.empty()) return;
        if (head_ == nullptr)
            head_ = other.head_;
        else
            tail_->next = other.head_;
        tail_ = other.tail_;
        size_ += other.size_;
        other = fifo{};
    }

  private:
    T* head_ = nullptr;
    T* tail_ = nullptr;
    std::size_t size_ = 0;
};

// A node's links; the tag lets one object sit on several lists of different kinds.
template <class Tag>
struct list_node {
    list_node* prev = nullptr;
    list_node* next = nullptr;
    bool linked() const { return next != nullptr; }
};

// A circular doubly linked list around a sentinel. T derives from list_node<Tag>.
template <class T, class Tag>
class list {
    using node = list_node<Tag>;

  public:
    list() { root_.prev = root_.next = &root_; }
    list(const list&) = delete;
    list& operator=(const list&) = delete;

    bool empty() const { return root_.next == &root_; }
    T* front() const { return empty() ? nullptr : static_cast<T*>(root_.next); }
    T* next(T* item) const {
        node* n = static_cast<node*>(item)->next;
        return n == &root_ ? nullptr : static_cast<T*>(n);
    }
    void push_back(T* item) { insert_before(&root_, item); }
    void push_front(T* item) { insert_before(root_.next, item); }
    T* pop_front() {
        T* item = front();
        if (item != nullptr) remove(item);
        return item;
    }
    void remove(T* item) {
        node* n = static_cast<node*>(item);
        PIRN_ASSERT(n->linked());
        n->prev->next = n->next;
        n->next->prev = n->prev;
        n->prev = n->next = nullptr;
    }

  private:
    static void insert_before(node* at, T* item) {
        node* n = static_cast<node*>(item);
        PIRN_ASSERT(!n->linked());
        n->prev = at->prev;
        n->next = at;
        at->prev->next = n;
        at->prev = n;
    }
    node root_;
};

}  // namespace pirn::base
