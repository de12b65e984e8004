import CWorker
@preconcurrency import Dispatch
import Glibc

/// Reaps child processes, so that none stays a zombie.
enum ChildReaper {
    /// Waits for a child without blocking a thread.
    static func watch(_ pid: pid_t) {
        let handle = cw_open_process(pid)
        guard handle >= 0 else { return }
        let source = DispatchSource.makeReadSource(fileDescriptor: handle, queue: FrameChannel.queue)
        source.setCancelHandler { Glibc.close(handle) }
        source.setEventHandler {
            var status: Int32 = 0
            waitpid(pid, &status, WNOHANG)
            source.cancel()
        }
        source.resume()
    }
}
