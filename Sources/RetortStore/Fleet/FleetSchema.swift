extension FleetStore {
    /// The version of the tables. A change of any of them raises it.
    static let schemaVersion = 1

    /// Creates the tables, or checks that they have this version.
    func prepare(patience: Double) async throws {
        let found = try await rows("SELECT to_regclass('retort.schema') IS NOT NULL", patience: patience)
        if found.first?.flag(0) != true {
            // If several processes come at the same time, one of them creates the tables.
            _ = try await rows(
                "SELECT pg_advisory_xact_lock(5947310042); \(Self.tables)", patience: patience)
        }
        let version = try await rows("SELECT version FROM retort.schema", patience: patience).first?[0] ?? "unknown"
        guard version == "\(Self.schemaVersion)" else {
            throw FleetError.otherSchema(store: name, found: version, expected: Self.schemaVersion)
        }
    }

    private static let tables = """
        CREATE SCHEMA IF NOT EXISTS retort;
        CREATE TABLE IF NOT EXISTS retort.schema (version int PRIMARY KEY);
        INSERT INTO retort.schema SELECT \(schemaVersion) WHERE NOT EXISTS (SELECT 1 FROM retort.schema);
        CREATE TABLE IF NOT EXISTS retort.run (
            name text PRIMARY KEY,
            folder text NOT NULL,
            planner text NOT NULL,
            planner_until timestamptz NOT NULL,
            version text NOT NULL,
            recipe text NOT NULL,
            roots text NOT NULL,
            lease float8 NOT NULL,
            is_done boolean NOT NULL DEFAULT false,
            started timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE IF NOT EXISTS retort.stage (
            run text NOT NULL REFERENCES retort.run ON DELETE CASCADE,
            name text NOT NULL,
            key text NOT NULL,
            inputs text NOT NULL,
            models text NOT NULL,
            phase int NOT NULL,
            is_open boolean NOT NULL DEFAULT true,
            started timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (run, name)
        );
        CREATE TABLE IF NOT EXISTS retort.task (
            sequence bigserial,
            run text NOT NULL REFERENCES retort.run ON DELETE CASCADE,
            stage text NOT NULL,
            id text NOT NULL,
            phase int NOT NULL,
            job text,
            attempt int NOT NULL DEFAULT 0,
            lost int NOT NULL DEFAULT 0,
            worker text,
            lease_until timestamptz NOT NULL DEFAULT '-infinity',
            is_done boolean NOT NULL DEFAULT false,
            is_copied boolean NOT NULL DEFAULT false,
            finished timestamptz,
            correct boolean,
            failure text,
            result text,
            PRIMARY KEY (run, stage, id)
        );
        CREATE INDEX IF NOT EXISTS task_open ON retort.task (run, stage, phase, lease_until, sequence) WHERE NOT is_done;
        CREATE INDEX IF NOT EXISTS task_new ON retort.task (run, stage, sequence) WHERE is_done AND NOT is_copied;
        CREATE TABLE IF NOT EXISTS retort.worker (
            run text NOT NULL REFERENCES retort.run ON DELETE CASCADE,
            name text NOT NULL,
            version text NOT NULL,
            started timestamptz NOT NULL DEFAULT now(),
            seen timestamptz NOT NULL DEFAULT now(),
            has_left boolean NOT NULL DEFAULT false,
            width int NOT NULL,
            busy int NOT NULL,
            done bigint NOT NULL,
            failed bigint NOT NULL,
            dropped bigint NOT NULL,
            stage text NOT NULL,
            PRIMARY KEY (run, name)
        );
        CREATE TABLE IF NOT EXISTS retort.spending (
            run text NOT NULL REFERENCES retort.run ON DELETE CASCADE,
            account text NOT NULL,
            worker text NOT NULL,
            prompt bigint NOT NULL,
            completion bigint NOT NULL,
            PRIMARY KEY (run, account, worker)
        );
        CREATE TABLE IF NOT EXISTS retort.file (
            run text NOT NULL REFERENCES retort.run ON DELETE CASCADE,
            digest text NOT NULL,
            path text NOT NULL,
            is_there boolean NOT NULL DEFAULT false,
            failure text,
            PRIMARY KEY (run, digest)
        );
        CREATE TABLE IF NOT EXISTS retort.file_part (
            run text NOT NULL,
            digest text NOT NULL,
            part int NOT NULL,
            content bytea NOT NULL,
            PRIMARY KEY (run, digest, part),
            FOREIGN KEY (run, digest) REFERENCES retort.file ON DELETE CASCADE
        )
        """
}
