/// Finds the argument of a `final_answer` call without running it.
enum FinalAnswerCall {
    /// The argument of the last call in a text, as written; nil when there is no call or it is empty.
    static func argument(in text: String) -> String? {
        guard let call = text.ranges(of: "final_answer(").last else { return nil }
        let rest = text[call.upperBound...]
        var argument = rest[..<(end(of: rest) ?? rest.endIndex)].trimmed
        if argument.hasPrefix("answer=") { argument = argument.dropFirst("answer=".count).trimmed }
        return argument.isEmpty ? nil : argument
    }

    /// Where the call is closed: its parenthesis outside brackets and strings, else the end of its line.
    private static func end(of text: Substring) -> String.Index? {
        var scanner = PythonScanner()
        var depth = 0
        for line in text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false) {
            let places = scanner.places(in: Array(line))
            for (index, place) in zip(line.indices, places) where place == .code {
                if "([{".unicodeScalars.contains(line[index]) { depth += 1 }
                guard ")]}".unicodeScalars.contains(line[index]) else { continue }
                if depth == 0 { return index }
                depth -= 1
            }
        }
        return text.firstIndex(where: \.isNewline)
    }
}
