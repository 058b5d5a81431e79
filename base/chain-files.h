/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/chain.h"

/*
 * The files of a chained log: audit.jsonl is being written; a file that was
 * closed is audit.jsonl.NNNNNNNNNNNN, named after its last line.
 */

#define CHAIN_LOG_FILE "audit.jsonl"
#define CHAIN_FILE_MAX 40
#define CHAIN_LINE_MAX (64 * 1024) /* octets of a line with its newline */

/* The closed files by their last lines, ascending, and whether there is one
 * being written. */
struct chain_files {
    uint64_t *last;
    size_t n;
    bool current;
};

int chain_files_list(int dir_fd, struct chain_files *ret) MUST_CHECK;
void chain_files_deinit(struct chain_files *f);
#define CLEANUP_CHAIN_FILES CLEANUP(chain_files_deinit)

/* chain_file_name() - of the file whose last line is @last; 0: the current. */
void chain_file_name(uint64_t last, char ret[static CHAIN_FILE_MAX]);

/* A file's lines one after the other. */
struct chain_reader {
    int fd;          /* borrowed */
    uint64_t offset; /* of the next line */
    uint8_t *buf;
    size_t pos, len;
};

/* chain_reader_init() - @offset must be the start of a line. */
int chain_reader_init(struct chain_reader *r, int fd,
                      uint64_t offset) MUST_CHECK;
void chain_reader_deinit(struct chain_reader *r);
#define CLEANUP_CHAIN_READER CLEANUP(chain_reader_deinit)

/**
 * chain_reader_next() - a line without its newline, valid until the next call
 *
 * Return: 0; CHAIN_READ_END; CHAIN_READ_TORN with what is there if the file
 * ends without a newline; CHAIN_READ_LONG; negative errno.
 */
int chain_reader_next(struct chain_reader *r, struct bytes *ret) MUST_CHECK;
#define CHAIN_READ_END 1
#define CHAIN_READ_TORN 2
#define CHAIN_READ_LONG 3

/* chain_line_number() - N of a line that begins with {"n":N, ; 0 if none. */
uint64_t chain_line_number(struct bytes line);

/* chain_line_mac() - what a line says its MAC is; CHAIN_E_FORM. */
int chain_line_mac(struct bytes line,
                   uint8_t ret[static CHAIN_MAC_LEN]) MUST_CHECK;
