import RetortCore

extension Action {
    /// One spelling for actions that do the same: comments, empty lines and blanks that mean nothing are left out of programs, and
    /// the members of a call's arguments are sorted. A text in quotes stays as it is.
    public var canonicalText: String {
        switch self {
        case .code(let program): CanonicalProgram.of(program)
        case .toolCall(let name, let arguments): "\(name)(\(arguments.sortedText))"
        case .answer(let value): "answer \(value.canonical)"
        case .giveUp: "give up"
        case .unparsable(let text, _): "unparsable \(text)"
        }
    }
}

/// A Python program without what means nothing.
private enum CanonicalProgram {
    static func of(_ program: String) -> String {
        var scanner = PythonScanner()
        var lines: [String] = []
        for line in program.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false) {
            let startsInString = scanner.isInString
            let scalars = Array(line)
            let text = folded(zip(scalars, scanner.places(in: scalars)), startsInString)
            if startsInString || !text.isEmpty { lines.append(text) }
        }
        return lines.joined(separator: "\n")
    }

    /// A blank in code is kept where the line begins with it, or where it parts two words.
    private static func folded(
        _ line: Zip2Sequence<[Unicode.Scalar], [PythonScanner.Context]>, _ startsInString: Bool
    ) -> String {
        var text = String.UnicodeScalarView()
        var (indentation, blank, isFirst) = (String.UnicodeScalarView(), false, !startsInString)
        for (scalar, place) in line where place != .comment {
            if place == .code, scalar.properties.isWhitespace {
                if isFirst { indentation.append(scalar) } else { blank = true }
                continue
            }
            if isFirst { text.append(contentsOf: indentation) }
            if blank, let last = text.last, isWord(last), isWord(scalar) { text.append(" ") }
            (isFirst, blank) = (false, false)
            text.append(scalar)
        }
        return String(text)
    }

    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isAlphabetic || scalar.properties.numericType != nil
            || "_\"'".unicodeScalars.contains(scalar)
    }
}

extension JSONValue {
    /// As JSON whose members are sorted; unlike `canonical` it tells a text from a number.
    fileprivate var sortedText: String {
        switch self {
        case .array(let items): "[" + items.map(\.sortedText).joined(separator: ",") + "]"
        case .object(let members):
            "{"
                + members.sorted { $0.key < $1.key }
                .map { "\(JSONValue.string($0.key).jsonText):\($0.value.sortedText)" }.joined(separator: ",") + "}"
        default: jsonText
        }
    }
}
