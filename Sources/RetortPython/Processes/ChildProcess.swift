import CWorker
import Glibc

/// Starts programs with exactly the arguments, environment and descriptors they are given.
///
/// Foundation's `Process` closes what is open when it begins to start a program; what other threads open meanwhile is
/// inherited, and a pipe or a connection held by a stranger never ends.
enum ChildProcess {
    /// - Parameter descriptors: what the child's 0, 1, 2 and so on are here; -1 for `/dev/null`.
    /// - Throws: `PythonError.cannotStart`.
    static func start(
        _ path: String, _ arguments: [String], environment: [String] = [], descriptors: [Int32]
    ) throws -> pid_t {
        var list = ([path] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup($0) } + [nil]
        defer {
            for text in list + variables { free(text) }
        }
        var pid: pid_t = 0
        let status = cw_spawn(path, &list, &variables, descriptors, Int32(descriptors.count), &pid)
        guard status == 0 else {
            throw PythonError.cannotStart(path: path, reason: String(cString: strerror(status)))
        }
        return pid
    }
}
