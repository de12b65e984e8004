import Foundation
import Synchronization

/// A PostgreSQL server of a test's own: on a socket in a temporary folder, without a network, and gone with the process that started it,
/// however that ends.
public final class ScratchPostgres: Sendable {
    /// One server for all tests of a process; nil where PostgreSQL is not installed.
    public static let shared: ScratchPostgres? = try? ScratchPostgres()

    /// Whether PostgreSQL is installed here; tests that need it are skipped where not (Debian's package is `postgresql`).
    public static let isInstalled = binaries != nil

    private static let binaries: String? = {
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        let debian = versions.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }.map { "/usr/lib/postgresql/\($0)/bin" }
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return (debian + path).first { FileManager.default.isExecutableFile(atPath: "\($0)/initdb") }
    }()

    /// PostgreSQL refuses to be root.
    private static let user = geteuid() == 0 ? "nobody" : nil

    private struct State {
        /// Whoever ends the server when this process ends: it reads from the pipe until then.
        var keeper: Process?
        var databases = 0
    }

    private let folder: URL
    private let state = Mutex(State())

    /// A server of its own, for whoever crashes it.
    public init() throws {
        // The temporary folder may be one that another user cannot enter, and a socket's path may have 107 bytes at most.
        let root = Self.user == nil ? FileManager.default.temporaryDirectory : URL(fileURLWithPath: "/tmp")
        folder = root.appendingPathComponent("retort-pg-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        if let user = Self.user { try Self.run("/bin/chown", [user, folder.path]) }
        try Self.run(
            "\(Self.binaries ?? "")/initdb",
            ["-D", "\(folder.path)/data", "-U", "retort", "-A", "trust", "-N", "-E", "UTF8", "--no-locale"],
            as: Self.user)
        try start()
    }

    deinit { stop() }

    /// A new database's address.
    /// - Parameter user: who comes; the owner of everything unless given.
    public func database(as user: String? = nil) throws -> String {
        let number = state.withLock { state in
            state.databases += 1
            return state.databases
        }
        try sql("CREATE DATABASE d\(number)")
        return address("d\(number)", as: user)
    }

    /// The address of a database that need not be there.
    public func address(_ database: String, as user: String? = nil) -> String {
        "postgresql://\(user ?? "retort")@/\(database)?host=\(folder.path)"
    }

    /// Does something as the owner.
    public func sql(_ text: String, in database: String = "postgres") throws {
        try Self.run(
            "\(Self.binaries ?? "")/psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", text, address(database)])
    }

    /// Starts the server.
    public func start() throws {
        let server = "\(Self.binaries ?? "")/postgres"
        let options = "-D '\(folder.path)/data' -k '\(folder.path)' -h '' -c fsync=off -c full_page_writes=off"
        let command = Self.user.map { "setpriv --reuid \($0) --regid nogroup --clear-groups \(server)" } ?? server
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = [
            "-c",
            "\(command) \(options) >>'\(folder.path)/log' 2>&1 </dev/null & server=$!; read line; kill -QUIT $server; "
                + "wait $server; [ \"$line\" = again ] || rm -rf '\(folder.path)'",
        ]
        process.standardInput = Pipe()
        try process.run()
        state.withLock { $0.keeper = process }
        for _ in 0..<200 {
            if (try? sql("SELECT 1")) != nil { return }
            usleep(50_000)
        }
        throw Failure(text: (try? String(contentsOfFile: "\(folder.path)/log", encoding: .utf8)) ?? "it did not start")
    }

    /// Ends the server as a crash would. `start` brings it back.
    public func crash() { end(saying: "again\n") }

    private func stop() { end(saying: "\n") }

    private func end(saying line: String) {
        let keeper = state.withLock { state in
            defer { state.keeper = nil }
            return state.keeper
        }
        guard let keeper, let input = keeper.standardInput as? Pipe else { return }
        try? input.fileHandleForWriting.write(contentsOf: Data(line.utf8))
        keeper.waitUntilExit()
    }

    private struct Failure: Error, CustomStringConvertible {
        let text: String
        var description: String { text }
    }

    private static func run(_ program: String, _ arguments: [String], as user: String? = nil) throws {
        let process = Process()
        let given =
            user.map { ["setpriv", "--reuid", $0, "--regid", "nogroup", "--clear-groups", program] } ?? [program]
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = given + arguments
        let output = Pipe()
        (process.standardOutput, process.standardError, process.standardInput) = (output, output, FileHandle.nullDevice)
        try process.run()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(text: String(decoding: said, as: UTF8.self)) }
    }
}
