import Foundation

/// The outer wall, built by bubblewrap: user, mount, process, network, host-name and shared-memory namespaces around
/// the zygote. Its file system contains the interpreter and nothing else.
struct NamespaceJail: Sendable {
    let bubblewrap: String
    private let arguments: [String]
    /// The folder of the worker's scripts inside.
    static let workerFolder = "/retort"

    /// - Throws: `PythonError.cannotStart` when bubblewrap is missing or cannot build the wall on this machine; the
    ///   reason is bubblewrap's own message.
    /// - Parameter showing: files and folders of users' modules that sessions may read.
    init(_ installation: PythonInstallation, worker: URL, showing: [String] = []) async throws {
        guard let path = Self.locate() else {
            throw PythonError.cannotStart(path: "bwrap", reason: "bubblewrap is not installed")
        }
        bubblewrap = path
        let namespaces = ["user", "pid", "net", "ipc", "uts"].map { "--unshare-\($0)" }
        let views = installation.readable.flatMap { ["--ro-bind", $0, Self.inside($0)] }
        let shown = Set(showing).sorted().flatMap { ["--ro-bind", $0, PythonModule.inside($0, isolated: true)] }
        let devices = ["/dev/null", "/dev/urandom"].flatMap { ["--dev-bind", $0, $0] }
        arguments =
            namespaces + ["--hostname", "retort", "--uid", "65534", "--gid", "65534", "--clearenv", "--new-session"]
            // Only for the zygote, inside its namespace: sessions get mounts of their own, then drop all
            // capabilities.
            + ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP"]
            + views + ["--ro-bind", worker.path, Self.workerFolder] + shown + devices
            // The root is a writable file system in memory until it is made read-only, together with everything on
            // it.
            + ["--tmpfs", "/tmp", "--remount-ro", "/tmp", "--remount-ro", "/", "--chdir", "/"]
        let probe = try await Command.run(
            bubblewrap, command([Self.inside(installation.executable.path), "-c", ""]), seconds: 20)
        guard probe.status == 0 else { throw PythonError.cannotStart(path: path, reason: probe.errorText) }
    }

    /// The place of a host folder inside. `/tmp` inside is private to each session, so an interpreter below the
    /// host's `/tmp` is shown elsewhere; it finds its libraries relative to itself.
    static func inside(_ path: String) -> String { path.hasPrefix("/tmp/") ? "/retort-host\(path)" : path }

    /// The bubblewrap command line that runs a command inside.
    func command(_ inner: [String]) -> [String] {
        arguments + WorkerEnvironment.variables.flatMap { ["--setenv", $0.name, $0.value] } + ["--"] + inner
    }

    private static func locate() -> String? {
        let folders = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":").map(String.init) ?? []
        return (folders + ["/usr/bin"]).map { "\($0)/bwrap" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}

/// The complete environment of the interpreter.
enum WorkerEnvironment {
    /// Hashing is fixed, so that sets always print in the same order; linear algebra uses one thread.
    static let variables: [(name: String, value: String)] = [
        ("PYTHONHASHSEED", "0"), ("OPENBLAS_NUM_THREADS", "1"), ("OMP_NUM_THREADS", "1"), ("LANG", "C.UTF-8"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ]
}
