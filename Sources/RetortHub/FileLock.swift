import Foundation

/// A lock between processes, compatible with `huggingface_hub`: `flock` on a separate lock file.
enum FileLock {
    /// Runs work while no other process holds the lock.
    /// - Parameters:
    ///   - seconds: the longest wait for another process.
    ///   - waiting: called once, if another process holds the lock.
    static func holding<Value>(
        _ file: URL, seconds: Double, waiting: () -> Void, _ work: () async throws -> Value
    ) async throws -> Value {
        do {
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        } catch {
            throw HubError.cannotWrite(path: file.deletingLastPathComponent().path, reason: "\(error)")
        }
        let descriptor = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw HubError.cannotWrite(path: file.path, reason: String(cString: strerror(errno)))
        }
        // Closing releases the lock; the file stays, since another process may be waiting on it.
        defer { close(descriptor) }
        let end = ContinuousClock.now + .seconds(seconds)
        var isFirst = true
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if isFirst { waiting() }
            isFirst = false
            guard ContinuousClock.now < end else { throw HubError.busy(file: file.path, seconds: seconds) }
            try await Task.sleep(for: .milliseconds(200))
        }
        return try await work()
    }
}
