import RetortCore

/// Why an index, a corpus or a search cannot be used.
public enum RetrievalError: Error, CustomStringConvertible, Equatable {
    /// There is no such file.
    case missing(file: String)
    /// The file is not an index, or one of an older version.
    case notAnIndex(file: String, reason: String)
    /// The place of a new index is taken by another file.
    case occupied(file: String)
    /// Two passages of a corpus have the same id.
    case repeatedID(file: String, line: Int, id: String)
    /// The index could not be written.
    case notWritten(file: String, reason: String)
    /// The index needs FAISS, which is not available.
    case noFaiss(file: String, reason: String)
    /// Vectors of another width than expected.
    case width(expected: Int, found: Int)
    /// FAISS failed.
    case search(String)
    /// Another process is making the same vectors.
    case busy(file: String)
    /// Too many queries are waiting.
    case crowded(waiting: Int)
    /// The index is still being built.
    case notReady(String)
    /// The text is not the address of a retrieval server.
    case address(String)
    /// A retrieval server that did not answer, or answered with something other than passages.
    case service(String, reason: String)
    /// A model that the search needs cannot be opened.
    case noModel(String, reason: String)

    /// The fault and its remedy, for people.
    public var description: String {
        switch self {
        case .missing(let file): "\(file) cannot be read; check the path, or build the index first"
        case .notAnIndex(let file, let reason): "\(file) is not a passage index: \(reason); remove it and build it anew"
        case .occupied(let file):
            "\(file) is there already, and is no passage index; name another place, or move the file away"
        case .repeatedID(let file, let line, let id):
            "\(file), line \(line): the id '\(id)' stands there before; give each passage an id of its own"
        case .noFaiss(let file, let reason):
            "\(file) is an index of FAISS's: \(reason). Until then 'search: bm25' serves"
        case .width(let expected, let found):
            "vectors of \(expected) finite elements were expected, and there are \(found); the encoder is not the one of the index, or "
                + "damaged"
        case .search(let reason): "FAISS cannot search: \(reason)"
        case .busy(let file): "another process is writing \(file); wait until it is done"
        case .crowded(let waiting): "\(waiting) queries wait already; ask again later, or ask fewer at once"
        case .notReady(let progress): "the index is being made (\(progress)); ask again later"
        case .address(let address): "'\(address)' is no address; give one such as http://127.0.0.1:8000"
        case .service(let address, let reason): "the retrieval server \(address) \(reason)"
        case .noModel(let name, let reason): "'\(name)' cannot be opened: \(reason)"
        case .notWritten(let file, let reason):
            "\(file) could not be written: \(reason). The previous index, if any, is unchanged; "
                + "check free space and permissions, then build again"
        }
    }
}

extension RetrievalError: RunHalting {
    /// An index that is lost or damaged answers no task's queries. Where a server is down, the agent is told so, and may
    /// go on.
    public var haltsRun: Bool {
        switch self {
        case .missing, .notAnIndex, .noFaiss, .width, .search: true
        case .occupied, .repeatedID, .notWritten, .busy, .crowded, .notReady, .address, .service, .noModel: false
        }
    }
}
