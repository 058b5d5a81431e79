/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "der-mutator.h"

#include <string.h>

#include "fuzz.h"

#define NODES_MAX 512
#define CONTENT_MAX 4096
#define DEPTH_MAX 16

/* A value with its content, or with values as its content; in one array, in
 * order, so that a value's own end where `end` says. */
struct node {
    uint8_t tag;
    bool inner;   /* content is values */
    uint8_t lead; /* octets before them: the one of a BIT STRING */
    bool gone;    /* it and what is in it */
    unsigned end; /* index of the first that is not in it */
    struct bytes content;
};

struct tree {
    struct node nodes[NODES_MAX];
    unsigned n;
};

/* A header with a tag of one octet and a definite length. */
bool der_take_value(struct bytes *rest, uint8_t *ret_tag, struct bytes *ret)
{
    size_t n = 2, len;

    if (rest->len < 2 || (rest->data[0] & 0x1f) == 0x1f)
        return false;
    len = rest->data[1];
    if (len == 0x81 || len == 0x82) {
        size_t octets = len & 0x7f;

        if (rest->len < 2 + octets)
            return false;
        len = rest->data[2];
        if (octets == 2)
            len = len << 8 | rest->data[3];
        n += octets;
    } else if (len > 0x7f) {
        return false;
    }
    if (rest->len - n < len)
        return false;
    *ret_tag = rest->data[0];
    *ret = (struct bytes){ rest->data + n, len };
    *rest = (struct bytes){ rest->data + n + len, rest->len - n - len };
    return true;
}

static bool parse(struct tree *t, struct bytes der, unsigned depth);

/* OCTET STRINGs of extensions and BIT STRINGs may hold values, too. */
static void parse_inside(struct tree *t, struct node *v, unsigned depth)
{
    unsigned before = t->n;
    bool maybe = v->tag == 0x04 && v->content.len >= 2;

    if (depth >= DEPTH_MAX || !((v->tag & 0x20) || maybe))
        return;
    v->inner = parse(t, v->content, depth + 1);
    if (!v->inner)
        t->n = before;
}

static bool parse(struct tree *t, struct bytes der, unsigned depth)
{
    while (der.len > 0) {
        struct node *v = &t->nodes[t->n];

        if (t->n == NODES_MAX)
            return false;
        *v = (struct node){ 0 };
        if (!der_take_value(&der, &v->tag, &v->content))
            return false;
        t->n++;
        parse_inside(t, v, depth);
        v->end = t->n;
    }
    return true;
}

void der_put_header(struct buf *b, uint8_t tag, size_t len)
{
    MUST(buf_append_char(b, (char)tag) == 0);
    if (len > 0xff)
        MUST(buf_append_char(b, (char)0x82) == 0 &&
             buf_append_char(b, (char)(len >> 8)) == 0);
    else if (len > 0x7f)
        MUST(buf_append_char(b, (char)0x81) == 0);
    MUST(buf_append_char(b, (char)len) == 0);
}

/* @bare: a value whose content is whole values, written without a header. */
static void put_values(const struct tree *t, unsigned from, unsigned to,
                       unsigned bare, struct buf *b)
{
    for (unsigned i = from; i < to; i = t->nodes[i].end) {
        const struct node *v = &t->nodes[i];
        CLEANUP_BUF struct buf content = { 0 };

        if (v->gone)
            continue;
        if (i == bare) {
            MUST(buf_append(b, v->content.data, v->content.len) == 0);
            continue;
        }
        if (v->inner)
            put_values(t, i + 1, v->end, bare, &content);
        else
            MUST(buf_append(&content, v->content.data, v->content.len) == 0);
        der_put_header(b, v->tag, content.len);
        MUST(buf_append(b, content.data, content.len) == 0);
    }
}

/* The octets of one value as they are now. */
static struct bytes value_of(const struct tree *t, unsigned i, struct buf *b)
{
    put_values(t, i, t->nodes[i].end, NODES_MAX, b);
    return buf_bytes(b);
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 8;
}

/* Content: libFuzzer's mutation of it, or another one's. */
static void change_content(struct tree *t, unsigned i, unsigned *seed,
                           der_mutate_fn inside, uint8_t space[CONTENT_MAX])
{
    struct node *v = &t->nodes[i];
    size_t len = v->content.len;

    if (v->inner || len > CONTENT_MAX)
        return;
    if (next_random(seed) % 4 == 0) {
        v->content = t->nodes[next_random(seed) % t->n].content;
        return;
    }
    if (len > 0)
        memcpy(space, v->content.data, len);
    len = inside(space, len, len + 16 < CONTENT_MAX ? len + 16 : CONTENT_MAX);
    v->content = (struct bytes){ space, len };
}

static void change_tag(struct node *v, unsigned *seed)
{
    static const uint8_t tags[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c,
                                    0x13, 0x14, 0x16, 0x1e, 0x30, 0x31, 0x80,
                                    0x81, 0x82, 0x84, 0x86, 0x87, 0xa0 };

    v->tag = tags[next_random(seed) % sizeof(tags)];
}

/* Two values in place of one: twice the same, or it and another. */
static void add_beside(const struct tree *t, unsigned i, unsigned other,
                       struct node *v, struct buf *space)
{
    (void)value_of(t, i, space);
    (void)value_of(t, other, space);
    *v = (struct node){ .tag = v->tag,
                        .end = v->end,
                        .content = buf_bytes(space) };
}

size_t der_mutate(uint8_t *der, size_t len, unsigned seed, der_mutate_fn inside,
                  size_t max)
{
    static struct tree t;
    static uint8_t space[CONTENT_MAX];
    CLEANUP_BUF struct buf beside = { 0 };
    CLEANUP_BUF struct buf b = { 0 };
    unsigned i, other, bare = NODES_MAX;

    t.n = 0;
    if (!parse(&t, (struct bytes){ der, len }, 0) || t.n == 0)
        return inside(der, len, max);
    i = next_random(&seed) % t.n;
    other = next_random(&seed) % t.n;
    switch (next_random(&seed) % 8) {
    case 0:
        t.nodes[i].gone = true;
        break;
    case 1:
        change_tag(&t.nodes[i], &seed);
        break;
    case 2:
        other = i;
        /* fall through */
    case 3:
    case 4:
        add_beside(&t, i, other, &t.nodes[i], &beside);
        bare = i;
        break;
    default:
        change_content(&t, i, &seed, inside, space);
    }
    put_values(&t, 0, t.n, bare, &b);
    if (b.len > max || b.len == 0)
        return len;
    memcpy(der, b.data, b.len);
    return b.len;
}
