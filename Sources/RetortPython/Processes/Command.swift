import CWorker
import Foundation
import Glibc
import RetortProcesses

/// Runs a short system command to its end.
package enum Command {
    package struct Result {
        /// The exit code, or the negative number of the signal that ended the command.
        package var status: Int32
        package var output: Data
        package var errorText: String
    }

    /// Waits on a thread of its own, because all tasks share Swift's few cooperative threads.
    /// - Parameter seconds: the time after which the command is killed.
    package static func run(_ path: String, _ arguments: [String], seconds: Double) async throws -> Result {
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
        var end = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
        var ready: Int32 = 0
        if handle >= 0 {
            repeat { ready = poll(&end, 1, Int32(seconds * 1000)) } while ready < 0 && errno == EINTR
            Glibc.close(handle)
        }
        // The child has not been reaped yet, so the number still belongs to it.
        if ready <= 0 { kill(pid, SIGKILL) }
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
