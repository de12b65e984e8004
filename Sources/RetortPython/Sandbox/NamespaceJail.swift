import Foundation

/// The outer wall, built by bubblewrap: user, mount, process, network, host-name and shared-memory namespaces around the
/// zygote, whose file system holds the interpreter and nothing else.
struct NamespaceJail: Sendable {
    let bubblewrap: String
    private let arguments: [String]
    /// Where the worker's scripts are found inside.
    static let workerFolder = "/retort"

    /// - Throws: `PythonError.cannotStart` when bubblewrap is not there or cannot build the wall on this machine; the
    ///   reason is its own message.
    /// - Parameter showing: files and folders of users' modules, which sessions may read.
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
            // For the zygote alone, inside its namespace: sessions get mounts of their own, then drop everything.
            + ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP"]
            + views + ["--ro-bind", worker.path, Self.workerFolder] + shown + devices
            // The root is a writable memory file system until it is made read-only, and all that stands on it with it.
            + ["--tmpfs", "/tmp", "--remount-ro", "/tmp", "--remount-ro", "/", "--chdir", "/"]
        let probe = try await Command.run(
            bubblewrap, command([Self.inside(installation.executable.path), "-c", ""]), seconds: 20)
        guard probe.status == 0 else { throw PythonError.cannotStart(path: path, reason: probe.errorText) }
    }

    /// Where a folder of the host is found inside. `/tmp` is every session's own there, so an interpreter that lies in the
    /// host's is shown elsewhere; it finds its libraries from where it is.
    static func inside(_ path: String) -> String { path.hasPrefix("/tmp/") ? "/retort-host\(path)" : path }

    /// bubblewrap's arguments for running a command inside.
    func command(_ inner: [String]) -> [String] {
        arguments + WorkerEnvironment.variables.flatMap { ["--setenv", $0.name, $0.value] } + ["--"] + inner
    }

    private static func locate() -> String? {
        let folders = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":").map(String.init) ?? []
        return (folders + ["/usr/bin"]).map { "\($0)/bwrap" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}

/// The environment variables of the interpreter, all of them.
enum WorkerEnvironment {
    /// Fixed hashing, so that sets print in the same order every time; one thread for linear algebra.
    static let variables: [(name: String, value: String)] = [
        ("PYTHONHASHSEED", "0"), ("OPENBLAS_NUM_THREADS", "1"), ("OMP_NUM_THREADS", "1"), ("LANG", "C.UTF-8"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ]
}
