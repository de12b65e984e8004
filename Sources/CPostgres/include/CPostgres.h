// A plain C view of libpq (https://www.postgresql.org/docs/current/libpq.html): one session, statements with text parameters, and a
// time limit for each call, which libpq's own blocking calls have not.
//
// Every function that can fail returns NULL and leaves a message for the calling thread in cp_error(), and the server's SQLSTATE in
// cp_state(), which is empty where the session was lost or the time was up. A session is used by one thread at a time.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cp_session cp_session;
typedef struct cp_rows cp_rows;

const char *_Nonnull cp_error(void);
const char *_Nonnull cp_state(void);
// Why there is no libpq in this build; empty where there is.
const char *_Nonnull cp_refusal(void);

// Opens a session. What the address does not say libpq takes from the environment (PGPASSWORD, PGSSLMODE, …) and from ~/.pgpass.
cp_session *_Nullable cp_open(const char *_Nonnull address, int milliseconds);
// Whether it can still be used: a session whose call ran out of time cannot.
bool cp_is_open(const cp_session *_Nonnull session);
void cp_close(cp_session *_Nullable session);
// The server's host (or socket folder), database and user, for messages: without any password.
const char *_Nonnull cp_place(const cp_session *_Nonnull session);

// Does one statement, or without values several that are separated by semicolons; the rows are those of the last one.
cp_rows *_Nullable cp_do(cp_session *_Nonnull session, const char *_Nonnull statement, int count,
                         const char *_Nullable const *_Nullable values, int milliseconds);
int cp_row_count(const cp_rows *_Nonnull rows);
int cp_column_count(const cp_rows *_Nonnull rows);
// NULL is SQL's null. Text lasts as long as the rows.
const char *_Nullable cp_value(const cp_rows *_Nonnull rows, int row, int column);
// Rows that the statement changed.
int64_t cp_changed(const cp_rows *_Nonnull rows);
void cp_free(cp_rows *_Nullable rows);

#ifdef __cplusplus
}
#endif
