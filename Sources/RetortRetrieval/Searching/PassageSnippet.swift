/// Cuts a passage to the part that fits a query best: as many whole sentences as fit.
enum PassageSnippet {
    /// The run of neighbouring sentences that contains the most of the query's words and has at most this many
    /// characters; among equals, the first. A sentence that is too long by itself is cut after a word and ends in
    /// `…`.
    static func of(_ text: String, for query: String, characters: Int) -> String {
        guard text.count > characters else { return text }
        let sentences = sentences(text)
        let wanted = Set(SearchQuery.words(of: query))
        let hits = sentences.map { wanted.intersection(SearchQuery.words(of: $0)) }
        var best: (range: Range<Int>, found: Int, size: Int)?
        for start in sentences.indices {
            var (end, size): (Int, Int) = (start, 0)
            var found: Set<String> = []
            while end < sentences.count {
                let more = sentences[end].count + (end > start ? 1 : 0)
                guard size + more <= characters else { break }
                size += more
                found.formUnion(hits[end])
                end += 1
            }
            guard end > start else { continue }
            if best.map({ (found.count, size) > ($0.found, $0.size) }) ?? true {
                best = (start..<end, found.count, size)
            }
        }
        guard let best else { return cut(sentences.first ?? text, characters) }
        return sentences[best.range].joined(separator: " ")
    }

    /// A sentence ends at `.`, `!`, `?` or `…` before a blank, or at a line end; a single capital letter before the
    /// dot is an initial, which ends no sentence.
    static func sentences(_ text: String) -> [String] {
        var (sentences, current): ([String], String) = ([], "")
        let characters = Array(text)
        func finish() {
            let words = current.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            if !words.isEmpty { sentences.append(words) }
            current = ""
        }
        for (index, character) in characters.enumerated() {
            if character.isNewline {
                finish()
                continue
            }
            current.append(character)
            guard ".!?…。！？".contains(character) else { continue }
            let isAtEnd = index + 1 == characters.count
            guard isAtEnd || characters[index + 1].isWhitespace || "。！？".contains(character) else { continue }
            let word = current.dropLast().split(whereSeparator: \.isWhitespace).last ?? ""
            let isInitial = character == "." && word.count == 1 && word.first?.isUppercase == true
            if !isInitial { finish() }
        }
        finish()
        return sentences
    }

    private static func cut(_ sentence: String, _ characters: Int) -> String {
        let part = sentence.prefix(max(1, characters - 1))
        let end = part.lastIndex(of: " ") ?? part.endIndex
        return part[..<end] + "…"
    }
}
