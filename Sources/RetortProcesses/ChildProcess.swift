import CWorker
import Glibc

/// Starts programs with exactly the arguments, environment and descriptors they are given.
///
/// Foundation's `Process` closes what is open when it begins to start a program; what other threads open meanwhile is
/// inherited, and a pipe or a connection held by a stranger never ends.
public enum ChildProcess {
    /// Starts a program in a session, and so a process group, of its own.
    /// - Parameters:
    ///   - environment: as `NAME=value`.
    ///   - folder: where it starts; nil is this process's own folder.
    ///   - descriptors: what the child's 0, 1, 2 and so on are here; -1 for `/dev/null`.
    /// - Throws: `ChildProcessError.cannotStart`.
    public static func start(
        _ path: String, _ arguments: [String], environment: [String] = [], folder: String? = nil, descriptors: [Int32]
    ) throws(ChildProcessError) -> pid_t {
        // A C text ends at its first zero byte: the rest would be cut off.
        guard ([path, folder ?? ""] + arguments + environment).allSatisfy({ !$0.utf8.contains(0) }) else {
            throw .cannotStart(path: path, reason: "a text that it is started with contains a zero byte")
        }
        var list = ([path] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup($0) } + [nil]
        defer {
            for text in list + variables { free(text) }
        }
        var pid: pid_t = 0
        let status = cw_spawn(path, &list, &variables, folder, descriptors, Int32(descriptors.count), &pid)
        guard status == 0 else { throw .cannotStart(path: path, reason: String(cString: strerror(status))) }
        return pid
    }
}

/// A program that does not start.
public enum ChildProcessError: Error, CustomStringConvertible, Equatable {
    case notFound(command: String, looked: [String])
    case cannotStart(path: String, reason: String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .notFound(let command, let looked):
            "there is no program '\(command)' (looked in \(looked.isEmpty ? "an empty PATH" : looked.joined(separator: ", ")))"
        case .cannotStart(let path, let reason): "\(path) could not be started: \(reason)"
        }
    }
}
