/// A value that a sentence calls the answer behind it: `18 is the answer`, `So $5$ is my final answer`.
struct NamedAnswer {
    /// The words of the sentence before `is the answer`.
    let lead: String
    /// Where the text continues.
    let end: String.Index

    /// The last one in a text, unless its sentence is a question, a condition or a doubt.
    static func last(in text: String) -> NamedAnswer? {
        guard text.contains("answer") || text.contains("Answer") else { return nil }
        let pattern =
            /\b(?:is|was|are|must\s+be|should\s+be|has\s+to\s+be)\s+(?:indeed\s+|thus\s+|therefore\s+)?(?:the|my|our)\s+(?:(?:final|correct|right|only|overall)\s+)*answers?\b(?!\s*(?:[:=?]|is\b|was\b|are\b))/
            .ignoresCase()
        guard let match = text.matches(of: pattern).last else { return nil }
        let lead = String(text[sentenceStart(of: match.range.lowerBound, in: text)..<match.range.lowerBound])
        let words = lead.lowercased().split { !$0.isLetter && $0 != "'" }.map(String.init)
        let rest = text[match.range.upperBound...].prefix { !".!\n".contains($0) }
        guard !rest.contains("?"), !words.contains(where: { doubts.contains($0) || $0.hasSuffix("n't") }) else {
            return nil
        }
        return NamedAnswer(lead: lead, end: match.range.upperBound)
    }

    private static func sentenceStart(of place: String.Index, in text: String) -> String.Index {
        let before = text[..<place]
        let ends = [". ", "! ", "? ", "; ", "\n"].compactMap { before.ranges(of: $0).last?.upperBound }
        return ends.max() ?? text.startIndex
    }

    private static let doubts: Set<String> = [
        "if", "whether", "unless", "suppose", "doubt", "think", "thought", "thinks", "claims", "said", "not", "nor",
        "neither", "never", "what", "which",
    ]
}
