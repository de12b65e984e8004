import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Writes files whole or not at all: temporary file in the same folder, fsync, rename, fsync of the folder.
public enum AtomicFile {
    /// Replaces the file at `url` by `data`.
    /// - Throws: `AtomicFileError` with the path and the system's message; the old file then still stands.
    public static func write(_ data: Data, to url: URL) throws {
        try write(to: url) { handle in try handle.write(contentsOf: data) }
    }

    /// Replaces the file at `url` by what `body` writes. A device or a pipe there is written to, not replaced; of a symbolic
    /// link the file it leads to is replaced. The new file has the old one's permissions.
    public static func write(to url: URL, _ body: (FileHandle) throws -> Void) throws {
        var status = stat()
        let isThere = stat(url.path, &status) == 0
        if isThere, [S_IFCHR, S_IFIFO].contains(status.st_mode & S_IFMT) { return try writeThrough(to: url, body) }
        let target = isThere ? url.resolvingSymlinksInPath() : url
        let temporary = try Temporary(beside: target)
        do {
            if isThere { fchmod(temporary.descriptor, status.st_mode & 0o7777) }
            try body(temporary.handle)
            guard fsync(temporary.descriptor) == 0 else { throw AtomicFileError.failed(url.path, systemMessage()) }
            try temporary.handle.close()
            guard rename(temporary.path, target.path) == 0 else {
                throw AtomicFileError.failed(url.path, systemMessage())
            }
        } catch {
            unlink(temporary.path)
            throw error is AtomicFileError ? error : AtomicFileError.failed(url.path, "\(error)")
        }
        synchronize(target.deletingLastPathComponent())
    }

    /// A new file of a name that nobody can know before: none that stands there is opened, nor a link followed.
    private struct Temporary {
        let path: String
        let descriptor: Int32
        let handle: FileHandle

        init(beside target: URL) throws {
            let folder = target.deletingLastPathComponent()
            // Names have a limit, of 255 bytes on most file systems.
            let name = String(target.lastPathComponent.prefix(48))
            path = folder.appendingPathComponent(".\(name).\(UUID().uuidString).tmp").path
            descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else { throw AtomicFileError.failed(target.path, systemMessage()) }
            handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        }
    }

    /// Makes the new name last. Not every file system can.
    private static func synchronize(_ folder: URL) {
        let descriptor = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = fsync(descriptor)
        close(descriptor)
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

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .failed(let path, let reason):
            "\(path) could not be written: \(reason). The previous file, if any, is unchanged; "
                + "check free space and permissions, then run again"
        }
    }
}
