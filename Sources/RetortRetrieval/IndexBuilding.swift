import Foundation
import GRDB
import RetortCore

extension PassageIndex {
    /// How far the building of an index is.
    public enum Progress: Sendable, Hashable {
        /// The number of passages read so far.
        case read(Int)
        /// All passages are read, and their word lists are being merged; the number of pages merged so far.
        case joined(pages: Int)
        /// The index is about to replace the draft, which nobody should search any more.
        case finishing
    }

    /// Builds the index of a corpus, unless `file` is already the index of the same bytes.
    /// - Parameter progress: called with the number of passages read so far, every few thousand.
    /// - Returns: the number of passages.
    /// - Throws: `JSONLinesError` or `RetrievalError` that names the file and the line.
    @discardableResult
    public static func buildIfNeeded(
        from corpus: URL, to file: URL, progress: (Int) -> Void = { _ in }
    ) throws -> Int {
        try buildIfNeeded(from: [corpus], to: file) { if case .read(let count) = $0 { progress(count) } }
    }

    /// Builds the index of a corpus of several files, unless `file` is already the index of the same bytes.
    /// - Returns: the number of passages.
    /// - Throws: `JSONLinesError` or `RetrievalError` that names the file and the line; `CancellationError`.
    @discardableResult
    public static func buildIfNeeded(
        from corpus: [URL], to file: URL, progress: (Progress) -> Void
    ) throws -> Int {
        let corpus = PassageCorpus(files: corpus)
        let hash = try corpus.hash()
        if let known = knownSource(of: file), known.hash == hash { return known.count }
        return try build(corpus, to: file, hash: hash, progress)
    }

    /// Builds the index of a corpus in a draft beside `file`, which then replaces `file`. A build that is killed
    /// leaves the previous index unchanged, and the next build resumes the draft.
    /// - Parameter progress: called with the number of passages read so far, every few thousand.
    /// - Returns: the number of passages.
    /// - Throws: `JSONLinesError` or `RetrievalError` that names the file and the line.
    @discardableResult
    public static func build(from corpus: URL, to file: URL, progress: (Int) -> Void = { _ in }) throws -> Int {
        let corpus = PassageCorpus(files: [corpus])
        return try build(corpus, to: file, hash: corpus.hash()) { if case .read(let count) = $0 { progress(count) } }
    }

    private static func build(
        _ corpus: PassageCorpus, to file: URL, hash: String, _ progress: (Progress) -> Void
    ) throws -> Int {
        guard isFree(file) else { throw RetrievalError.occupied(file: file.path) }
        do {
            let draft = try IndexDraft(of: file, source: hash)
            // Another process may have built it while this one waited.
            if draft.count == 0, let known = knownSource(of: file), known.hash == hash {
                draft.remove()
                return known.count
            }
            do {
                try draft.read(corpus) { progress(.read($0)) }
            } catch let error where error is JSONLinesError || error is RetrievalError {
                // The corpus has to be corrected, which makes it a different corpus.
                draft.remove()
                throw error
            }
            try draft.merge { progress(.joined(pages: $0)) }
            progress(.finishing)
            return try draft.finish(as: file)
        } catch let error as DatabaseError {
            throw RetrievalError.notWritten(file: file.path, reason: error.message ?? "\(error.resultCode)")
        } catch let error as POSIXError {
            throw RetrievalError.notWritten(file: file.path, reason: error.localizedDescription)
        }
    }

    /// Whether no database of something else is at a place, such as a store of trajectories. Damaged indices of any
    /// version are replaced.
    private static func isFree(_ file: URL) -> Bool {
        guard FileManager.default.fileExists(atPath: file.path) else { return true }
        var configuration = Configuration()
        configuration.readonly = true
        let tables = try? DatabaseQueue(path: file.path, configuration: configuration).read {
            try String.fetchSet($0, sql: "SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        return tables?.isEmpty ?? true || tables?.isSuperset(of: ["source", "passage", "words"]) == true
    }

    private static func knownSource(of file: URL) -> IndexSchema.Source? {
        guard FileManager.default.fileExists(atPath: file.path) else { return nil }
        var configuration = Configuration()
        configuration.readonly = true
        return try? DatabaseQueue(path: file.path, configuration: configuration).read {
            try IndexSchema.source(in: $0, older: false)
        }
    }

    /// The part of an unfinished index that exists, for searching by words; nil if there is none.
    public static func unfinished(of file: URL) -> PassageIndex? {
        try? PassageIndex(draft: IndexDraft.url(of: file))
    }
}
