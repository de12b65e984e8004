import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A file to which lines are appended, each in one write: lines of several tasks are not mixed, and a kill loses at
/// most the last one.
final class AppendedLines: Sendable {
    private let path: String
    private let descriptor: Int32

    /// Opens a file, or creates one. After a line that was cut off, the next one starts on a new line.
    /// - Throws: `RunError.cannotWrite`.
    init(_ file: URL) throws {
        path = file.path
        descriptor = open(path, O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw RunError.cannotWrite(path, String(cString: strerror(errno))) }
        let end = lseek(descriptor, 0, SEEK_END)
        var last = UInt8(ascii: "\n")
        if end > 0, pread(descriptor, &last, 1, end - 1) == 1, last != UInt8(ascii: "\n") { try write(Data([0x0A])) }
    }

    deinit { close(descriptor) }

    /// - Throws: `RunError.cannotWrite`.
    func append(_ line: Data) throws { try write(line + Data([0x0A])) }

    private func write(_ bytes: Data) throws {
        let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
        guard count == bytes.count else { throw RunError.cannotWrite(path, String(cString: strerror(errno))) }
    }
}
