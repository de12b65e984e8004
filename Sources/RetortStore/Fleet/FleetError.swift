import RetortCore

/// A shared store that cannot be used, or a run in it that must not be worked on.
public enum FleetError: RunHalting, CustomStringConvertible, Equatable {
    /// This build cannot connect to PostgreSQL.
    case noPostgres(String)
    /// The address is not that of a PostgreSQL database.
    case address(String)
    /// The server does not answer, or not for a long time.
    case unreachable(store: String, reason: String)
    /// The server answered, but refused the connection.
    case refused(store: String, reason: String)
    /// The user lacks a permission.
    case noRights(store: String, reason: String)
    /// The tables are those of another version.
    case otherSchema(store: String, found: String, expected: Int)
    /// The server failed to execute a statement.
    case failed(store: String, state: String, reason: String)
    /// Stored content cannot be read.
    case unreadable(store: String, what: String, reason: String)
    /// Another process plans the run.
    case planned(run: String, planner: String, seconds: Double)
    /// A run of this name belongs to another folder, and is not done.
    case taken(run: String, planner: String)
    /// There is no such run.
    case noRun(String, known: [String])
    /// A worker of another version.
    case otherVersion(run: String, theirs: String, own: String)
    /// A worker on whose machine the results would differ.
    case otherInputs(stage: String, differences: [String])
    /// There was nothing to do for too long.
    case idle(seconds: Double, what: String)
    /// The run's recipe asks for something that a fleet cannot do.
    case unfit(String)

    /// Always true: none of these is a task's fault.
    public var haltsRun: Bool { true }

    /// A message for users: what is wrong, and what to do.
    public var description: String {
        switch self {
        case .noPostgres(let reason): reason
        case .address(let address):
            "'\(address)' is no address of a PostgreSQL database; write it as postgresql://USER@HOST:PORT/DATABASE, with the "
                + "password in PGPASSWORD or ~/.pgpass"
        case .unreachable(let store, let reason):
            "\(store) cannot be reached: \(reason); check that the server runs, the host and the port, and run again: nothing "
                + "that was recorded is lost"
        case .refused(let store, let reason):
            "\(store) lets nobody in: \(reason); check user, password (PGPASSWORD) and database"
        case .noRights(let store, let reason):
            "\(store): \(reason); as its owner run GRANT CREATE ON DATABASE … TO …, or for tables that are there: GRANT ALL ON "
                + "SCHEMA retort, ALL TABLES IN SCHEMA retort and ALL SEQUENCES IN SCHEMA retort TO …"
        case .otherSchema(let store, let found, let expected):
            "\(store) holds tables of version \(found), and this version of Retort works with \(expected); use one version on all "
                + "machines, or another database; 'DROP SCHEMA retort CASCADE' there removes the tables with all that is in them"
        case .failed(let store, let state, let reason): "\(store): \(reason) (SQLSTATE \(state))"
        case .unreadable(let store, let what, let reason):
            "\(store): \(what) cannot be read: \(reason); plan the run again with the same version of Retort on all machines"
        case .planned(let run, let planner, let seconds):
            "'\(run)' is planned by \(planner), which was heard of \(Self.ago(seconds)); stop it first, start a worker instead "
                + "('retort worker'), or give the recipe another name"
        case .taken(let run, let planner):
            "the store holds a run '\(run)' of another recipe, or of another folder, that is not done (planned by \(planner)); "
                + "give the recipe another name, go on in that folder, or remove it with 'retort fleet --remove \(run)'"
        case .noRun(let name, let known):
            known.isEmpty
                ? "the store holds no run yet; plan one with 'retort run RECIPE --store URL'"
                : "the store holds no run '\(name)'; it holds \(known.joined(separator: ", "))"
        case .otherVersion(let run, let theirs, let own):
            "'\(run)' was planned by Retort \(theirs), and this is \(own); install the same version on all machines"
        case .otherInputs(let stage, let differences):
            "\(stage) would be worked on otherwise here than where it was planned; nothing was taken:\n"
                + differences.map { "  \($0)" }.joined(separator: "\n")
        case .idle(let seconds, let what): "\(what) for \(Int(seconds)) seconds; raise --idle to wait longer"
        case .unfit(let reason): reason
        }
    }

    private static func ago(_ seconds: Double) -> String { seconds < 1.5 ? "a moment ago" : "\(Int(seconds)) s ago" }
}
