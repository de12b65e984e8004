import RetortCore

/// A shared store that cannot be used, or a run in it that is not to be worked on.
public enum FleetError: RunHalting, CustomStringConvertible, Equatable {
    /// This build speaks no PostgreSQL.
    case noPostgres(String)
    /// The address is not one of PostgreSQL.
    case address(String)
    /// Nothing answers there, or not for a long time.
    case unreachable(store: String, reason: String)
    /// The server answered, and let nobody in.
    case refused(store: String, reason: String)
    /// The user may not do it.
    case noRights(store: String, reason: String)
    /// Its tables are another version's.
    case otherSchema(store: String, found: String, expected: Int)
    /// A statement that the server did not carry out.
    case failed(store: String, state: String, reason: String)
    /// What it holds cannot be read.
    case unreadable(store: String, what: String, reason: String)
    /// Somebody else plans the run.
    case planned(run: String, planner: String, seconds: Double)
    /// Another folder's run has this name, and is not done.
    case taken(run: String, planner: String)
    /// There is no such run.
    case noRun(String, known: [String])
    /// A worker of another version.
    case otherVersion(run: String, theirs: String, own: String)
    /// A worker on whose machine something else would come out.
    case otherInputs(stage: String, differences: [String])
    /// Nothing came for too long.
    case idle(seconds: Double, what: String)
    /// What the run's recipe asks for that a fleet cannot do.
    case unfit(String)

    /// No task is to blame for any of these.
    public var haltsRun: Bool { true }

    /// What went wrong, and what to do.
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
            "\(store): \(what) cannot be read: \(reason); plan the run anew with the same version of Retort on all machines"
        case .planned(let run, let planner, let seconds):
            "'\(run)' is planned by \(planner), which was heard of \(Self.ago(seconds)); stop it first, start a worker instead "
                + "('retort worker'), or give the recipe another name"
        case .taken(let run, let planner):
            "the store holds a run '\(run)' of another recipe, or of another folder, that is not done (planned by \(planner)); "
                + "give the recipe another name, go on in that folder, or remove it with 'retort fleet --remove \(run)'"
        case .noRun(let name, let known):
            "the store holds no run '\(name)'" + (known.isEmpty ? "" : "; it holds \(known.joined(separator: ", "))")
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
