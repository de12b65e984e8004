import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Writes files whole or not at all: temporary file in the same folder, fsync, rename.
public enum AtomicFile {
    /// Replaces the file at `url` by `data`.
    /// - Throws: `AtomicFileError` with the path and the system's message; the old file then still stands.
    public static func write(_ data: Data, to url: URL) throws {
        try write(to: url) { handle in try handle.write(contentsOf: data) }
    }

    /// Replaces the file at `url` by what `body` writes. A device or a pipe there is written to, not replaced.
    public static func write(to url: URL, _ body: (FileHandle) throws -> Void) throws {
        var status = stat()
        if stat(url.path, &status) == 0, [S_IFCHR, S_IFIFO].contains(status.st_mode & S_IFMT) {
            return try writeThrough(to: url, body)
        }
        let temporary = url.deletingLastPathComponent()
            .appendingPathComponent(".\(url.lastPathComponent).\(ProcessInfo.processInfo.processIdentifier).tmp")
        let descriptor = open(temporary.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw AtomicFileError.failed(url.path, systemMessage()) }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try body(handle)
            guard fsync(descriptor) == 0 else { throw AtomicFileError.failed(url.path, systemMessage()) }
            try handle.close()
            guard rename(temporary.path, url.path) == 0 else {
                throw AtomicFileError.failed(url.path, systemMessage())
            }
        } catch {
            unlink(temporary.path)
            throw error is AtomicFileError ? error : AtomicFileError.failed(url.path, "\(error)")
        }
    }

    private static func writeThrough(to url: URL, _ body: (FileHandle) throws -> Void) throws {
        let descriptor = open(url.path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw AtomicFileError.failed(url.path, systemMessage()) }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try body(handle)
        try handle.close()
    }

    private static func systemMessage() -> String { String(cString: strerror(errno)) }
}

/// A file that could not be written.
public enum AtomicFileError: Error, CustomStringConvertible {
    case failed(String, String)

    public var description: String {
        switch self {
        case .failed(let path, let reason):
            "\(path) could not be written: \(reason). The previous file, if any, is unchanged; "
                + "check free space and permissions, then run again"
        }
    }
}
