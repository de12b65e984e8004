import Foundation
import GRDB
import RetortCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

extension PassageIndex {
    /// Builds the index of a corpus, unless `file` is already the index of the same bytes.
    /// - Parameter progress: called with the number of passages read so far, each few thousand.
    /// - Returns: the number of passages.
    /// - Throws: `JSONLinesError` or `RetrievalError` that names the file and the line.
    @discardableResult
    public static func buildIfNeeded(
        from corpus: URL, to file: URL, progress: (Int) -> Void = { _ in }
    ) throws -> Int {
        let hash = try hash(of: corpus)
        if let known = knownSource(of: file), known.hash == hash { return known.count }
        return try build(from: corpus, to: file, hash: hash, progress)
    }

    /// Builds the index of a corpus: in a temporary file beside `file`, which then takes its place. A build that is
    /// killed leaves the previous index as it was.
    /// - Parameter progress: called with the number of passages read so far, each few thousand.
    /// - Returns: the number of passages.
    /// - Throws: `JSONLinesError` or `RetrievalError` that names the file and the line.
    @discardableResult
    public static func build(from corpus: URL, to file: URL, progress: (Int) -> Void = { _ in }) throws -> Int {
        try build(from: corpus, to: file, hash: hash(of: corpus), progress)
    }

    private static func build(from corpus: URL, to file: URL, hash: String, _ progress: (Int) -> Void) throws -> Int {
        let temporary = file.deletingLastPathComponent()
            .appendingPathComponent(".\(file.lastPathComponent).\(ProcessInfo.processInfo.processIdentifier).tmp")
        try? FileManager.default.removeItem(at: temporary)
        defer { try? FileManager.default.removeItem(at: temporary) }
        do {
            let count = try fill(temporary, from: corpus, hash: hash, progress)
            try sync(temporary)
            guard rename(temporary.path, file.path) == 0 else { throw systemError() }
            return count
        } catch let error as DatabaseError {
            throw RetrievalError.notWritten(file: file.path, reason: error.message ?? "\(error.resultCode)")
        } catch let error as POSIXError {
            throw RetrievalError.notWritten(file: file.path, reason: error.localizedDescription)
        }
    }

    private static func fill(_ file: URL, from corpus: URL, hash: String, _ progress: (Int) -> Void) throws -> Int {
        var configuration = Configuration()
        // The file is thrown away when the build does not end, so a journal and syncs would only cost time.
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF") }
        let queue = try DatabaseQueue(path: file.path, configuration: configuration)
        let count = try queue.write { database in
            try IndexSchema.create(in: database)
            var read = 0
            try JSONLinesFile(corpus).forEach(Passage.self) { passage, line in
                guard try IndexSchema.stage(passage, in: database) else {
                    throw RetrievalError.repeatedID(file: corpus.path, line: line, id: passage.id)
                }
                read += 1
                if read.isMultiple(of: 5000) { progress(read) }
            }
            progress(read)
            return try IndexSchema.finish(source: hash, in: database)
        }
        try queue.vacuum()
        try queue.close()
        return count
    }

    /// What tells whether the corpus is the one that an index was made of.
    /// - Throws: `RetrievalError.missing`.
    private static func hash(of corpus: URL) throws -> String {
        guard FileManager.default.isReadableFile(atPath: corpus.path) else {
            throw RetrievalError.missing(file: corpus.path)
        }
        return "sha256:\(try ContentHash.sha256([corpus]))"
    }

    private static func knownSource(of file: URL) -> (hash: String, count: Int)? {
        guard FileManager.default.fileExists(atPath: file.path) else { return nil }
        var configuration = Configuration()
        configuration.readonly = true
        return try? DatabaseQueue(path: file.path, configuration: configuration).read(IndexSchema.source)
    }

    private static func sync(_ file: URL) throws {
        let descriptor = open(file.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw systemError() }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw systemError() }
    }

    private static func systemError() -> POSIXError { POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
}
