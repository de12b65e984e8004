import CWorker
import Glibc

/// Starts programs with exactly the arguments, environment and descriptors they are given.
///
/// Foundation's `Process` closes the descriptors that are open when it begins to start a program. Descriptors that
/// other threads open meanwhile are inherited, and a pipe or connection that an unrelated process holds open never
/// ends.
public enum ChildProcess {
    /// Starts a program in a session, and so a process group, of its own.
    /// - Parameters:
    ///   - environment: entries of the form `NAME=value`; nothing is inherited.
    ///   - folder: the working folder; nil is this process's own.
    ///   - descriptors: the descriptors of this process that become the child's 0, 1, 2 and so on; -1 for
    ///     `/dev/null`.
    /// - Throws: `ChildProcessError.cannotStart`.
    public static func start(
        _ path: String, _ arguments: [String], environment: [String] = [], folder: String? = nil, descriptors: [Int32]
    ) throws(ChildProcessError) -> pid_t {
        // A C string ends at its first zero byte, so the rest would be cut off.
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
    /// There is no such program in any of these places.
    case notFound(command: String, looked: [String])
    /// The program at this path could not be started, with the system's reason.
    case cannotStart(path: String, reason: String)

    /// What could not be started, and why, for people.
    public var description: String {
        switch self {
        case .notFound(let command, let looked):
            "there is no program '\(command)' (looked in \(looked.isEmpty ? "an empty PATH" : looked.joined(separator: ", ")))"
        case .cannotStart(let path, let reason): "\(path) could not be started: \(reason)"
        }
    }
}
