extension OutputGrammar {
    /// The grammar as JSON that is the same in every process: what records know it by.
    public var json: JSONValue {
        switch self {
        case .text(let text): .string(text)
        case .oneOf(let choices): ["oneOf": .array(choices.map(\.json))]
        case .sequence(let parts): ["sequence": .array(parts.map(\.json))]
        case .prose(let limit, let endings):
            [
                "prose": .integer(limit),
                "endings": .array(endings.map { ["text": .string($0.text), "next": $0.next.json] }),
            ]
        case .anything(let limit): ["anything": .integer(limit)]
        case .json(let schema): ["schema": schema.json]
        }
    }

    /// All texts that the grammar allows, in its order, each once; nil when they are more than `limit` or not to be
    /// listed.
    public func texts(atMost limit: Int) -> [String]? {
        switch self {
        case .text(let text): return limit > 0 ? [text] : nil
        case .oneOf(let choices):
            var all: [String] = []
            for choice in choices {
                guard let texts = choice.texts(atMost: limit) else { return nil }
                all = Self.once(all + texts)
                guard all.count <= limit else { return nil }
            }
            return all
        case .sequence(let parts):
            var all = [""]
            for part in parts {
                guard let texts = part.texts(atMost: limit), texts.count * all.count <= limit else { return nil }
                all = Self.once(all.flatMap { start in texts.map { start + $0 } })
            }
            return all
        case .prose, .anything, .json: return nil
        }
    }

    private static func once(_ texts: [String]) -> [String] {
        var seen: Set<[UInt8]> = []
        return texts.filter { seen.insert(Array($0.utf8)).inserted }
    }
}
