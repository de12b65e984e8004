#include "CPostgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// libpq is linked where it was installed when this was built (libpq-dev on Debian); elsewhere each call says so.

static _Thread_local char last_error[2048];
static _Thread_local char last_state[6];
const char *cp_error(void) { return last_error; }
const char *cp_state(void) { return last_state; }

static void note(const char *message, const char *state) {
    snprintf(last_error, sizeof last_error, "%s", message ? message : "");
    size_t length = strlen(last_error);
    while (length > 0 && (last_error[length - 1] == '\n' || last_error[length - 1] == ' ')) last_error[--length] = 0;
    snprintf(last_state, sizeof last_state, "%s", state ? state : "");
}

#if RETORT_POSTGRES

#include <errno.h>
#if __has_include(<postgresql/libpq-fe.h>)
#include <postgresql/libpq-fe.h>
#else
#include <libpq-fe.h>
#endif
#include <poll.h>
#include <time.h>

struct cp_session {
    PGconn *connection;
    bool is_broken;
    char place[512];
};

struct cp_rows {
    PGresult *result;
};

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

// Waits until the socket can be read or written, or the time is up.
static bool wait_for(int socket, short events, int64_t deadline) {
    for (;;) {
        int64_t left = deadline - now();
        if (left <= 0) return false;
        struct pollfd waiting = {.fd = socket, .events = events};
        int found = poll(&waiting, 1, left > 60000 ? 60000 : (int)left);
        if (found > 0) return true;
        if (found < 0 && errno != EINTR) return false;
    }
}

static void pass_over(void *context, const char *message) {}

const char *cp_refusal(void) { return ""; }

cp_session *cp_open(const char *address, int milliseconds) {
    // What the address says itself comes later and counts. A dead peer is noticed: without these a lost network looks like a
    // server that thinks.
    const char *names[] = {"application_name", "client_encoding", "keepalives_idle", "keepalives_interval",
                           "keepalives_count", "tcp_user_timeout", "dbname", NULL};
    const char *values[] = {"retort", "UTF8", "5", "5", "3", "20000", address, NULL};
    int64_t deadline = now() + milliseconds;
    PGconn *connection = PQconnectStartParams(names, values, 1);
    if (!connection) {
        note("there is no memory for a session", "");
        return NULL;
    }
    PQsetNoticeProcessor(connection, pass_over, NULL);
    PostgresPollingStatusType status = PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        if (!wait_for(PQsocket(connection), status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
            note("the server did not answer in time", "");
            PQfinish(connection);
            return NULL;
        }
        status = PQconnectPoll(connection);
    }
    cp_session *session = status == PGRES_POLLING_OK && PQsetnonblocking(connection, 1) == 0 ? calloc(1, sizeof *session) : NULL;
    if (!session) {
        note(PQerrorMessage(connection), "");
        PQfinish(connection);
        return NULL;
    }
    session->connection = connection;
    const char *host = PQhost(connection), *database = PQdb(connection), *user = PQuser(connection);
    snprintf(session->place, sizeof session->place, "database '%s' at %s as user '%s'", database ? database : "",
             host && *host ? host : "this machine", user ? user : "");
    return session;
}

bool cp_is_open(const cp_session *session) { return !session->is_broken && PQstatus(session->connection) == CONNECTION_OK; }

const char *cp_place(const cp_session *session) { return session->place; }

void cp_close(cp_session *session) {
    if (!session) return;
    PQfinish(session->connection);
    free(session);
}

static cp_rows *lost(cp_session *session, const char *reason) {
    note(reason, "");
    session->is_broken = true;
    return NULL;
}

// Sends what is waiting; reads meanwhile, for a server whose own buffer is full takes nothing more.
static bool flush(PGconn *connection, int64_t deadline) {
    for (;;) {
        int left = PQflush(connection);
        if (left <= 0) return left == 0;
        if (!wait_for(PQsocket(connection), POLLIN | POLLOUT, deadline) || !PQconsumeInput(connection)) return false;
    }
}

cp_rows *cp_do(cp_session *session, const char *statement, int count, const char *const *values, int milliseconds) {
    PGconn *connection = session->connection;
    int64_t deadline = now() + milliseconds;
    int sent = count == 0 ? PQsendQuery(connection, statement)
                          : PQsendQueryParams(connection, statement, count, NULL, values, NULL, NULL, 0);
    if (!sent) return lost(session, PQerrorMessage(connection));
    if (!flush(connection, deadline)) return lost(session, "the server took nothing in time");
    PGresult *last = NULL;
    for (;;) {
        while (PQisBusy(connection)) {
            if (!wait_for(PQsocket(connection), POLLIN, deadline)) {
                PQclear(last);
                return lost(session, "the server did not answer in time");
            }
            if (!PQconsumeInput(connection)) {
                PQclear(last);
                return lost(session, PQerrorMessage(connection));
            }
        }
        PGresult *next = PQgetResult(connection);
        if (!next) break;
        // The first error is the cause.
        if (last && PQresultStatus(last) == PGRES_FATAL_ERROR) {
            PQclear(next);
            continue;
        }
        PQclear(last);
        last = next;
    }
    ExecStatusType status = last ? PQresultStatus(last) : PGRES_FATAL_ERROR;
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) {
        const char *state = last ? PQresultErrorField(last, PG_DIAG_SQLSTATE) : NULL;
        const char *primary = last ? PQresultErrorField(last, PG_DIAG_MESSAGE_PRIMARY) : NULL;
        note(primary ? primary : PQerrorMessage(connection), state);
        PQclear(last);
        if (PQstatus(connection) != CONNECTION_OK) session->is_broken = true;
        return NULL;
    }
    cp_rows *rows = calloc(1, sizeof *rows);
    if (!rows) {
        PQclear(last);
        return lost(session, "there is no memory for the rows");
    }
    rows->result = last;
    return rows;
}

int cp_row_count(const cp_rows *rows) { return PQntuples(rows->result); }
int cp_column_count(const cp_rows *rows) { return PQnfields(rows->result); }
const char *cp_value(const cp_rows *rows, int row, int column) {
    return PQgetisnull(rows->result, row, column) ? NULL : PQgetvalue(rows->result, row, column);
}
int64_t cp_changed(const cp_rows *rows) { return strtoll(PQcmdTuples(rows->result), NULL, 10); }
void cp_free(cp_rows *rows) {
    if (!rows) return;
    PQclear(rows->result);
    free(rows);
}

#else

static const char *const refusal =
    "this build has no libpq, with which PostgreSQL is spoken to; install libpq-dev (scripts/bootstrap does) and build again";

const char *cp_refusal(void) { return refusal; }
cp_session *cp_open(const char *address, int milliseconds) {
    note(refusal, "");
    return NULL;
}
bool cp_is_open(const cp_session *session) { return false; }
const char *cp_place(const cp_session *session) { return ""; }
void cp_close(cp_session *session) {}
cp_rows *cp_do(cp_session *session, const char *statement, int count, const char *const *values, int milliseconds) {
    note(refusal, "");
    return NULL;
}
int cp_row_count(const cp_rows *rows) { return 0; }
int cp_column_count(const cp_rows *rows) { return 0; }
const char *cp_value(const cp_rows *rows, int row, int column) { return NULL; }
int64_t cp_changed(const cp_rows *rows) { return 0; }
void cp_free(cp_rows *rows) {}

#endif
