import CWorker
import Foundation
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

/// Runs a short command of the system to its end.
enum Command {
    struct Result {
        /// The exit code, or the negative number of the signal that ended it.
        var status: Int32
        var output: Data
        var errorText: String
    }

    /// Waits on a thread of its own: Swift's few cooperative threads are everybody's.
    /// - Parameter seconds: after which the command is ended.
    static func run(_ path: String, _ arguments: [String], seconds: Double) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Swift.Result { try wait(for: path, arguments, seconds: seconds) })
            }
        }
    }

    private static func wait(for path: String, _ arguments: [String], seconds: Double) throws -> Result {
        let (output, errors) = (try memoryFile(for: path), try memoryFile(for: path))
        let pid = try ChildProcess.start(
            path, arguments, descriptors: [-1, output.fileDescriptor, errors.fileDescriptor])
        let handle = cw_open_process(pid)
        if handle >= 0 {
            var end = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
            var ready = poll(&end, 1, Int32(seconds * 1000))
            while ready < 0, errno == EINTR { ready = poll(&end, 1, Int32(seconds * 1000)) }
            if ready <= 0 { _ = cw_end_process(handle) }
            Glibc.close(handle)
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let complaint = String(decoding: try contents(errors), as: UTF8.self)
        return Result(
            status: status & 0x7f == 0 ? (status >> 8) & 0xff : -(status & 0x7f), output: try contents(output),
            errorText: complaint.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    private static func memoryFile(for path: String) throws -> FileHandle {
        let file = cw_memory_file()
        guard file >= 0 else { throw PythonError.cannotStart(path: path, reason: String(cString: strerror(-file))) }
        return FileHandle(fileDescriptor: file, closeOnDealloc: true)
    }

    private static func contents(_ file: FileHandle) throws -> Data {
        try file.seek(toOffset: 0)
        return try file.readToEnd() ?? Data()
    }
}
