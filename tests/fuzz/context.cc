/* SPDX-License-Identifier: MIT */
/*
 * context.cc - fuzz target: contexts, variables and tokens, on the persistent map with hashes that
 * collide as the input likes.
 *
 * Oracle: a std::map for each context. What a call answers, what a context holds, its length, its
 * iteration and its equality with every other are the maps'. An allocation may fail anywhere: then
 * nothing has changed. At the end every value was released as often as it was retained, and rota's
 * heap holds as many bytes as before.
 */
#include "ctx/context_impl.h"
#include "sched/base/alloc.h"
#include "sched/base/thread.h"
#include "tests/fuzz/fuzz.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <utility>

namespace {

constexpr unsigned VARS = 40;
constexpr unsigned CONTEXTS = 6;
constexpr unsigned TOKENS = 8;
constexpr unsigned NESTING_MAX = 4;

/* ---- Memory ---- */

std::atomic<std::ptrdiff_t> bytes_in_use;
int allocations_left = -1; /* the one after so many fails; -1: none */

void count_bytes(std::ptrdiff_t change)
{
    bytes_in_use += change;
}

bool may_allocate(size_t)
{
    return allocations_left != 0 && (allocations_left < 0 || allocations_left-- > 0);
}

/* ---- Values ---- */

struct Value {
    int held = 0;
};

void retain(void *value)
{
    static_cast<Value *>(value)->held++;
}

void release(void *value)
{
    FUZZ_ASSERT(--static_cast<Value *>(value)->held >= 0);
}

using Model = std::map<unsigned, void *>;

struct Context {
    rota_context *context = nullptr;
    Model model;
    unsigned life = 0; /* another for each context that has this place */
    bool entered = false;
    bool given_up = false; /* only the run that has entered it holds it: it is edited in place */
};

struct Token {
    rota_context_token token = {};
    unsigned place = 0; /* of the context it was made in */
    unsigned life = 0;
    unsigned var = 0;
    std::optional<void *> old;
    bool usable = false;
};

class Program {
public:
    explicit Program(fuzz_input *input) : input_(input)
    {
        static constexpr std::array<uint32_t, 8> hashes = {0, 1, 32, 33, 1U << 30, ~0U, 1024, 64};
        for (unsigned i = 0; i < VARS; i++) {
            rota_context_var_opts opts = {};
            uint8_t byte = fuzz_byte(input_);
            is_counted_[i] = byte % 2 == 0;
            opts.permanent = false;
            opts.retain = is_counted_[i] ? retain : nullptr;
            opts.release = is_counted_[i] ? release : nullptr;
            uint32_t hash = byte % 4 < 2 ? hashes[(byte >> 2) % hashes.size()] : byte >> 2;
            FUZZ_ASSERT(roti_context_var_create_hashed(&vars_[i], "v", &opts, hash) == 0);
        }
    }

    ~Program()
    {
        for (Token &token : tokens_)
            rota_context_token_discard(&token.token);
        for (Context &context : contexts_)
            rota_context_unref(context.context);
        for (rota_context_var *var : vars_)
            rota_context_var_unref(var);
        roti_context_park(roti_thread_self());
        for (const Value &value : values_)
            FUZZ_ASSERT(value.held == 0);
    }

    void run()
    {
        while (input_->size > 0)
            step();
        for (Context &context : contexts_)
            check(context);
    }

private:
    /* One thing, outside of contexts or inside of one. */
    void step()
    {
        uint8_t byte = fuzz_byte(input_);
        unsigned place = fuzz_below(input_, CONTEXTS);
        Context &context = contexts_[place];
        arm(byte);
        switch ((byte >> 4) % 8) {
        case 0:
            create(context, byte % 2 == 0 ? nullptr : &contexts_[fuzz_below(input_, CONTEXTS)]);
            break;
        case 1:
            drop(context);
            break;
        case 2:
            compare(context, contexts_[fuzz_below(input_, CONTEXTS)]);
            break;
        case 3:
            if (depth_ == 0)
                check(context);
            else
                reset(fuzz_below(input_, TOKENS), byte % 4 == 0);
            break;
        case 4:
        case 5:
            if (depth_ > 0)
                set();
            else
                enter(place);
            break;
        case 6:
            enter(place);
            break;
        default:
            if (depth_ > 0)
                read();
            else
                rota_context_token_discard(&use(fuzz_below(input_, TOKENS)).token);
        }
        allocations_left = -1;
    }

    /* In one of eight steps an allocation fails. */
    void arm(uint8_t byte)
    {
        allocations_left = byte % 8 == 7 ? fuzz_byte(input_) % 4 : -1;
    }

    void create(Context &context, const Context *from)
    {
        rota_context *made = nullptr;
        int r = from == nullptr || from->context == nullptr
                    ? rota_context_create(&made)
                    : rota_context_copy(from->context, &made);
        if (r < 0) {
            FUZZ_ASSERT(r == -ENOMEM && allocations_left == 0);
            return;
        }
        Model model = from == nullptr || from->context == nullptr ? Model{} : from->model;
        if (context.entered) { /* its place is taken: a copy, to be compared and dropped */
            FUZZ_ASSERT(rota_context_len(made) == model.size());
            rota_context_unref(made);
            return;
        }
        rota_context_unref(context.context);
        context = {made, std::move(model), ++lives_, false, false};
    }

    void drop(Context &context)
    {
        if (context.entered)
            return;
        rota_context_unref(context.context);
        forget(context);
    }

    /* The last reference to it has gone. */
    void forget(Context &context)
    {
        context.context = nullptr;
        context.model.clear();
        context.life = ++lives_;
    }

    /* ---- Inside ---- */

    static int inside(void *arg)
    {
        auto *program = static_cast<Program *>(arg);
        Context &context = program->contexts_[program->current_];
        uint8_t byte = fuzz_byte(program->input_);
        if (byte >= 128) {
            context.given_up = true;
            rota_context_unref(context.context);
        }
        for (unsigned steps = byte % 32; steps > 0 && program->input_->size > 0; steps--)
            program->step();
        program->check(context);
        return 77;
    }

    void enter(unsigned place)
    {
        Context &context = contexts_[place];
        if (context.context == nullptr || depth_ == NESTING_MAX)
            return;
        if (context.entered) {
            FUZZ_ASSERT(rota_context_run(context.context, inside, this) == -EBUSY);
            return;
        }
        unsigned outer = std::exchange(current_, place);
        depth_++;
        context.entered = true;
        allocations_left = -1;
        FUZZ_ASSERT(rota_context_run(context.context, inside, this) == 77);
        context.entered = false;
        depth_--;
        current_ = outer;
        if (std::exchange(context.given_up, false))
            forget(context);
        else
            check(context);
    }

    Token &use(unsigned index)
    {
        tokens_[index].usable = false;
        return tokens_[index];
    }

    void set()
    {
        Context &context = contexts_[current_];
        unsigned var = fuzz_below(input_, VARS);
        void *value = &values_[fuzz_below(input_, static_cast<uint32_t>(values_.size()))];
        uint8_t choice = fuzz_byte(input_);
        rota_context_token *filled = nullptr;
        Token *token = &tokens_[choice % TOKENS];
        if (choice >= 128 && allocations_left < 0) {
            rota_context_token_discard(&token->token); /* filling a token forgets what it held */
            filled = &token->token;
        }
        int r = rota_context_var_set(vars_[var], value, filled);
        if (r < 0) {
            FUZZ_ASSERT(r == -ENOMEM && allocations_left == 0);
            return;
        }
        auto found = context.model.find(var);
        if (filled != nullptr) {
            token->old = found == context.model.end() ? std::nullopt : std::optional(found->second);
            token->place = current_;
            token->life = context.life;
            token->var = var;
            token->usable = true;
        }
        context.model[var] = value;
    }

    void reset(unsigned index, bool other_var)
    {
        Token &token = tokens_[index];
        Context &context = contexts_[current_];
        unsigned var = other_var ? (token.var + 1) % VARS : token.var;
        int r = rota_context_var_reset(vars_[var], &token.token);
        if (r == -ENOMEM) {
            FUZZ_ASSERT(allocations_left == 0);
            return;
        }
        if (!token.usable) {
            FUZZ_ASSERT(r == ROTA_EUSED);
        } else if (other_var) {
            FUZZ_ASSERT(r == ROTA_EVAR);
        } else if (token.place != current_ || token.life != context.life) {
            FUZZ_ASSERT(r == ROTA_ECTX);
        } else {
            FUZZ_ASSERT(r == 0);
            token.usable = false;
            if (token.old)
                context.model[var] = *token.old;
            else
                context.model.erase(var);
        }
    }

    void read() const
    {
        const Model &model = contexts_[current_].model;
        unsigned var = fuzz_below(input_, VARS);
        void *value = nullptr;
        int fallback;
        auto found = model.find(var);
        int r = rota_context_var_get(vars_[var], &value);
        void *other = rota_context_var_get_or(vars_[var], &fallback);
        if (found == model.end())
            FUZZ_ASSERT(r == ROTA_ELOOKUP && value == nullptr && other == &fallback);
        else
            FUZZ_ASSERT(r == 0 && value == found->second && other == found->second);
    }

    /* ---- Looking ---- */

    unsigned index_of(const rota_context_var *var) const
    {
        for (unsigned i = 0; i < VARS; i++)
            if (vars_[i] == var)
                return i;
        FUZZ_ASSERT(!"a variable of nobody's");
        return 0;
    }

    void check(const Context &context) const
    {
        struct Seen {
            const Program *program;
            Model model;
        } seen = {this, {}};
        if (context.context == nullptr)
            return;
        auto visit = [](rota_context_var *var, void *value, void *arg) {
            auto *found = static_cast<Seen *>(arg);
            FUZZ_ASSERT(found->model.emplace(found->program->index_of(var), value).second);
            return 0;
        };
        FUZZ_ASSERT(rota_context_iterate(context.context, visit, &seen) == 0);
        FUZZ_ASSERT(seen.model == context.model);
        FUZZ_ASSERT(rota_context_len(context.context) == context.model.size());
        for (unsigned i = 0; i < VARS; i++) {
            void *value = nullptr;
            auto found = context.model.find(i);
            int r = rota_context_get(context.context, vars_[i], &value);
            FUZZ_ASSERT(rota_context_contains(context.context, vars_[i]) == (r == 0));
            FUZZ_ASSERT(r == (found == context.model.end() ? ROTA_ELOOKUP : 0));
            FUZZ_ASSERT(r < 0 || value == found->second);
        }
    }

    static void compare(const Context &left, const Context &right)
    {
        if (left.context != nullptr && right.context != nullptr)
            FUZZ_ASSERT(rota_context_equal(left.context, right.context) ==
                        (left.model == right.model));
    }

    fuzz_input *input_;
    std::array<Value, 5> values_ = {};
    std::array<rota_context_var *, VARS> vars_ = {};
    std::array<bool, VARS> is_counted_ = {};
    std::array<Context, CONTEXTS> contexts_ = {};
    std::array<Token, TOKENS> tokens_ = {};
    unsigned lives_ = 0;
    unsigned current_ = 0;
    unsigned depth_ = 0;
};

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = {data, size};
    roti_context_park(roti_thread_self());
    roti_alloc_set_balance_hook(count_bytes);
    roti_alloc_set_hook(may_allocate);
    std::ptrdiff_t before = bytes_in_use;
    Program(&input).run();
    FUZZ_ASSERT(bytes_in_use == before);
    roti_alloc_set_hook(nullptr);
    roti_alloc_set_balance_hook(nullptr);
    return 0;
}
