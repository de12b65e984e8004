import Foundation

/// A lock between processes, as `huggingface_hub` takes it: `flock` on a file of its own.
enum FileLock {
    /// Works while no other process does the same.
    /// - Parameters:
    ///   - seconds: how long others are waited for.
    ///   - waiting: is called once, when there is somebody to wait for.
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
        // Closing gives the lock back; the file stays, for another process may wait for it.
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
