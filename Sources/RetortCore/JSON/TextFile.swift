import Foundation

#if Full
    import CZlib
#endif

/// A file's bytes, block by block; those of a file that gzip has compressed are unpacked.
final class TextFile {
    let fileSize: Int
    private let path: String
    private let handle: FileHandle
    private var unpacking: Unpacking?
    private static let block = 1 << 20
    private static let gzipMark: [UInt8] = [0x1F, 0x8B]

    /// - Parameter start: bytes of the text that are passed over.
    /// - Throws: `JSONLinesError.missing`, `JSONLinesError.damaged`.
    init(_ file: URL, from start: Int) throws {
        guard let handle = FileHandle(forReadingAtPath: file.path) else {
            throw JSONLinesError.missing(file: file.path)
        }
        (self.handle, path) = (handle, file.path)
        let size = (try? FileManager.default.attributesOfItem(atPath: file.path))?[.size] as? NSNumber
        fileSize = size?.intValue ?? 0
        let head = try handle.read(upToCount: 2) ?? Data()
        guard Array(head) == Self.gzipMark else {
            // A pipe has no places to go back to.
            if start > 0 { try handle.seek(toOffset: UInt64(start)) } else { pending = head }
            return
        }
        unpacking = try Unpacking(file.path, head)
        var left = start
        while left > 0, let chunk = try next() {
            if chunk.count > left { pending = chunk.dropFirst(left) }
            left -= min(left, chunk.count)
        }
    }

    deinit { try? handle.close() }

    /// What was read and not given out.
    private var pending = Data()

    /// The next bytes, never none; nil at the end.
    func next() throws -> Data? {
        if !pending.isEmpty {
            defer { pending = Data() }
            return pending
        }
        guard let unpacking else {
            let chunk = try handle.read(upToCount: Self.block)
            return chunk?.isEmpty == false ? chunk : nil
        }
        return try unpacking.next { try self.handle.read(upToCount: Self.block) ?? Data() }
    }
}

#if Full
    /// The state of zlib's inflation (RFC 1952); a file may hold several streams one behind the other.
    private final class Unpacking {
        private let path: String
        /// zlib knows it by its place in memory.
        private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        private var input: Data
        /// Whether a stream has begun whose end did not come yet.
        private var isInside = true
        private static let block = 1 << 20

        init(_ path: String, _ head: Data) throws {
            (self.path, input) = (path, head)
            stream.initialize(to: z_stream())
            guard cz_begin_gzip(stream) == Z_OK else {
                throw JSONLinesError.damaged(file: path, reason: "zlib cannot begin")
            }
        }

        deinit {
            inflateEnd(stream)
            stream.deallocate()
        }

        /// The next unpacked bytes; nil at the end.
        func next(_ more: () throws -> Data) throws -> Data? {
            var output = Data(count: Self.block)
            var filled = 0
            while filled == 0 {
                if input.isEmpty {
                    input = try more()
                    if input.isEmpty {
                        guard !isInside else {
                            throw JSONLinesError.damaged(file: path, reason: "its compressed data ends too early")
                        }
                        return nil
                    }
                }
                if !isInside {
                    // Tape blocks are filled up with zeros.
                    input = input.drop { $0 == 0 }
                    guard !input.isEmpty else { continue }
                    guard inflateReset(stream) == Z_OK else { throw damaged() }
                    isInside = true
                }
                let (used, written, code) = inflated(into: &output)
                input = input.dropFirst(used)
                filled = written
                if code == Z_STREAM_END {
                    isInside = false
                } else if code != Z_OK, code != Z_BUF_ERROR {
                    throw damaged()
                }
            }
            return output.prefix(filled)
        }

        private func inflated(into output: inout Data) -> (used: Int, written: Int, code: Int32) {
            input.withUnsafeBytes { source in
                output.withUnsafeMutableBytes { target in
                    stream.pointee.next_in = UnsafeMutablePointer(
                        mutating: source.bindMemory(to: UInt8.self).baseAddress)
                    stream.pointee.avail_in = UInt32(source.count)
                    stream.pointee.next_out = target.bindMemory(to: UInt8.self).baseAddress
                    stream.pointee.avail_out = UInt32(target.count)
                    let code = inflate(stream, Z_NO_FLUSH)
                    return (
                        source.count - Int(stream.pointee.avail_in), target.count - Int(stream.pointee.avail_out), code
                    )
                }
            }
        }

        private func damaged() -> JSONLinesError { .damaged(file: path, reason: "its compressed data is damaged") }
    }
#else
    /// Without zlib nothing is unpacked.
    private struct Unpacking {
        init(_ path: String, _ head: Data) throws {
            throw JSONLinesError.damaged(
                file: path,
                reason: "it is compressed, and Retort's trait Full, which reads that, is switched off; unpack it")
        }

        func next(_ more: () throws -> Data) throws -> Data? { nil }
    }
#endif
