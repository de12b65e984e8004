import Foundation
import NIOCore

/// A file that is being fetched: its existing bytes are kept, and new ones are appended.
struct PartFile {
    private let handle: FileHandle
    private let path: String

    /// - Parameter offset: how many of the existing bytes are kept.
    init(_ file: URL, keeping offset: Int64) throws(HubError) {
        path = file.path
        let descriptor = open(file.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw .cannotWrite(path: file.path, reason: String(cString: strerror(errno)))
        }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try handle.truncate(atOffset: UInt64(offset))
            try handle.seek(toOffset: UInt64(offset))
        } catch {
            throw .cannotWrite(path: path, reason: "\(error)")
        }
    }

    func write(_ bytes: ByteBuffer) throws(HubError) {
        do {
            try handle.write(contentsOf: Data(bytes.readableBytesView))
        } catch {
            throw .cannotWrite(path: path, reason: "\(error); what came so far is kept")
        }
    }

    func close() { try? handle.close() }
}
