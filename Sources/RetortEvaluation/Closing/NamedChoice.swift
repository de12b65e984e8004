/// The choice that a sentence decides for, among those that it names: `(B), not (A)`, `(A) is wrong, so (C)`.
enum NamedChoice {
    /// - Returns: the letter, as a capital; nil where the sentence names none, leaves several open or only denies some.
    static func letter(in text: some StringProtocol) -> String? {
        guard !areSeveral(text) else { return nil }
        let text = String(text)
        var named = mentions(in: text)
        // What stands behind a conclusion counts more than what led to it.
        if let turn = text.ranges(of: /\b(?:so|thus|hence|therefore)\b/.ignoresCase()).last,
            named.contains(where: { $0.start >= turn.upperBound })
        {
            named.removeAll { $0.start < turn.upperBound }
        }
        if let affirmed = named.first(where: { $0.standing == .affirmed }) { return affirmed.letter }
        // `(C) because (D) overcounts`
        if let cause = text.firstRange(of: /\b(?:because|since)\b/.ignoresCase())?.lowerBound,
            named.contains(where: { $0.start < cause })
        {
            named.removeAll { $0.start > cause }
        }
        let letters = Set(named.filter { $0.standing == .open }.map(\.letter))
        return letters.count == 1 ? letters.first : nil
    }

    /// Whether a sentence names any choice.
    static func isNamed(in text: some StringProtocol) -> Bool { !mentions(in: String(text)).isEmpty }

    /// Whether a text begins with several choices, `A or B`, of which none is decided for.
    static func areSeveral(_ text: some StringProtocol) -> Bool {
        String(text).firstMatch(of: /^\s*\(?[A-Z]\)?\s*(?:or|and|,|\/|&)\s*(?:or\s+|and\s+)?\(?[A-Z]\)?(?![A-Za-z])/)
            != nil
    }

    private enum Standing { case open, denied, affirmed }

    private struct Mention {
        let letter: String
        let start, end: String.Index
        let standing: Standing
    }

    private static func areJoined(_ between: Substring) -> Bool {
        between.lowercased().split { !$0.isLetter }.allSatisfy { ["and", "or", "nor"].contains($0) }
    }

    private static func mentions(in text: String) -> [Mention] {
        let pattern =
            /(?:\b(?:[Oo]ption|[Cc]hoice|[Ll]etter|[Aa]nswer(?:\s+is)?:?)\s+\(?([A-Z])\b\)?|\(([A-Za-z])\)|(?:^|\s)([A-Z])\))/
        var inside: [Mention] = []
        for match in text.matches(of: pattern) {
            guard let letter = match.1 ?? match.2 ?? match.3 else { continue }
            let range = match.range
            var standing = standing(before: text[..<range.lowerBound], behind: text[range.upperBound...])
            // `neither (A) nor (B)`
            if standing == .open, let last = inside.last, areJoined(text[last.end..<range.lowerBound]) {
                standing = last.standing
            }
            inside.append(
                Mention(letter: letter.uppercased(), start: range.lowerBound, end: range.upperBound, standing: standing)
            )
        }
        return leading(text).map { [$0] + inside } ?? inside
    }

    /// `C` in `C (option A has a sign error)` and in `B, because A fails`, but not the article in `A dog`.
    private static func leading(_ text: String) -> Mention? {
        let plain = text.drop(while: \.isWhitespace)
        guard let letter = plain.first, letter.isASCII, letter.isUppercase else { return nil }
        let behind = plain.dropFirst()
        let next = behind.drop { $0 == " " }
        let word = next.prefix { $0.isLetter }
        let isAlone = next.first.map { ",;(".contains($0) } == true
        let isStated = behind.first == " " && ["is", "because", "since", "as"].contains(word)
        guard isAlone || isStated else { return nil }
        let standing = standing(before: "", behind: behind)
        return Mention(
            letter: String(letter), start: plain.startIndex, end: behind.startIndex,
            standing: standing == .open ? .affirmed : standing)
    }

    private static func standing(before: Substring, behind: Substring) -> Standing {
        let after = behind.prefix(24).lowercased()
        let verdict = /^\s*(?:is|are|was|would be|seems)\s+(?:the\s+|a\s+)?/
        if let verb = after.firstMatch(of: verdict) {
            let rest = after[verb.range.upperBound...]
            let wrong = ["not", "wrong", "incorrect", "false", "impossible", "too ", "ruled", "invalid", "never"]
            if wrong.contains(where: { rest.hasPrefix($0) }) { return .denied }
            if ["correct", "right", "true", "best", "answer"].contains(where: { rest.hasPrefix($0) }) {
                return .affirmed
            }
        }
        if ["isn't", "fails", "can't", "cannot"].contains(where: { after.drop(while: \.isWhitespace).hasPrefix($0) }) {
            return .denied
        }
        let words = before.lowercased().split { !$0.isLetter && $0 != "'" }.suffix(3)
        let isDenied = words.contains { word in
            [
                "not", "never", "than", "except", "neither", "nor", "unlike", "excluding", "rule", "eliminate",
                "exclude", "discard",
            ].contains(word)
                || word.hasSuffix("n't")
        }
        return isDenied || words.suffix(2) == ["instead", "of"] ? .denied : .open
    }
}
