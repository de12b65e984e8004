import RetortCore

/// What is asked in Search-R1's protocol (arXiv 2503.09516; `search_r1/search/retrieval_server.py`): `POST /retrieve` with
/// `{"queries": […], "topk": k, "return_scores": true}`. Agent-distillation's retriever and verl's take the same.
public struct RetrieveRequest: Sendable, Hashable {
    /// What is searched for.
    public var queries: [String]
    /// Passages for each query; nil leaves it to the server.
    public var count: Int?
    /// Whether the reply tells scores.
    public var returnsScores: Bool

    /// - Parameter count: passages a query; nil leaves it to the server.
    public init(queries: [String], count: Int? = nil, returnsScores: Bool = true) {
        (self.queries, self.count, self.returnsScores) = (queries, count, returnsScores)
    }

    /// As it is sent.
    public var json: JSONValue {
        var members: [String: JSONValue] = [
            "queries": .array(queries.map(JSONValue.string)), "return_scores": .bool(returnsScores),
        ]
        if let count { members["topk"] = .integer(count) }
        return .object(members)
    }
}

/// What is answered: `{"result": [[{"document": {"id", "contents", …}, "score": s}, …], …]}`, a list for each query; without scores
/// the documents themselves stand in the lists.
public struct RetrieveReply: Sendable, Hashable {
    /// What was found, a list for each query.
    public var lists: [[RetrievedPassage]]

    /// - Parameter lists: what was found, a list for each query.
    public init(_ lists: [[RetrievedPassage]]) { self.lists = lists }

    /// As it is sent.
    /// - Parameter quotesTitles: whether titles stand in quotation marks in `contents`, as in Search-R1's corpus.
    public func json(scores: Bool, quotesTitles: Bool) -> JSONValue {
        let lists = lists.map { list in
            JSONValue.array(
                list.map { passage in
                    let document = Self.document(passage, quotesTitles)
                    return scores ? ["document": document, "score": .number(passage.score)] : document
                })
        }
        return ["result": .array(lists)]
    }

    private static func document(_ passage: RetrievedPassage, _ quotesTitles: Bool) -> JSONValue {
        let title = quotesTitles ? "\"\(passage.title)\"" : passage.title
        return [
            "id": .string(passage.id), "title": .string(passage.title), "text": .string(passage.text),
            "contents": .string(passage.text.isEmpty ? title : "\(title)\n\(passage.text)"),
        ]
    }

    /// Why a reply cannot be read.
    struct Unreadable: Error {
        let reason: String
    }

    /// Reads the reply to a number of queries. Documents have `contents` with the title on their first line, or `title` and `text`;
    /// of a list that is longer than was asked for, the best stand.
    /// - Throws: `Unreadable`.
    static func read(_ value: JSONValue, queries: Int, count: Int) throws -> [[RetrievedPassage]] {
        guard let lists = value["result"]?.array else { throw Unreadable(reason: "answered without a list 'result'") }
        guard lists.count == queries else {
            throw Unreadable(reason: "answered with \(lists.count) lists for \(queries) queries")
        }
        return try lists.enumerated().map { number, list in
            guard let elements = list.array else { throw Unreadable(reason: "answered: result[\(number)] is no list") }
            return try elements.prefix(count).enumerated().map { rank, element in
                try passage(element, at: "result[\(number)][\(rank)]")
            }
        }
    }

    private static func passage(_ element: JSONValue, at place: String) throws -> RetrievedPassage {
        let document = element["document"] ?? element
        guard let members = document.object else { throw Unreadable(reason: "answered: \(place) is no document") }
        var score = 0.0
        switch element["score"] {
        case .number(let value)?: score = value
        case .integer(let value)?: score = Double(value)
        case nil, .null?: break
        default: throw Unreadable(reason: "answered: the score of \(place) is no number")
        }
        guard score.isFinite else { throw Unreadable(reason: "answered: the score of \(place) is not finite") }
        let contents: String
        if let text = members["contents"]?.string {
            contents = text
        } else if let text = members["text"]?.string {
            contents = "\(members["title"]?.string ?? "")\n\(text)"
        } else {
            throw Unreadable(reason: "answered: \(place) has no text 'contents'")
        }
        // Search-R1's BM25 server gives no ids.
        let id: String
        switch members["id"] {
        case .string(let text)?: id = text
        case .integer(let value)?: id = String(value)
        default: id = "text:\(String(StableHash.of(contents), radix: 16))"
        }
        let passage = Passage(id: id, contents: contents)
        return RetrievedPassage(id: id, title: passage.title, text: passage.text, score: score)
    }
}
