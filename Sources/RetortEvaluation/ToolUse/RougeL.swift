/// ROUGE-L as the PyPI package `rouge` 1.0 computes it; published figures of α-UMi and ToolBench depend on it.
///
/// Its definition is unusual: texts are cut into sentences at full stops and into words at white space, the longest
/// common subsequences of all pairs of sentences are joined as a *set* of words, and precision and recall divide by the
/// numbers of *distinct* words. A small constant in the denominator keeps a perfect match 5·10⁻⁹ below 1.
public enum RougeL {
    /// The F-measure of a text against its reference, in 0…1. A text without a sentence scores 0; the package raises an
    /// error.
    public static func f(_ text: String, reference: String) -> Double {
        var words = Words()
        let (hypothesis, reference) = (words.sentences(text), words.sentences(reference))
        guard !hypothesis.isEmpty, !reference.isEmpty else { return 0 }
        var common: Set<Int> = []
        for sentence in reference {
            for other in hypothesis { common.formUnion(commonSubsequence(sentence, other)) }
        }
        let recall = Double(common.count) / Double(Set(reference.joined()).count)
        let precision = Double(common.count) / Double(Set(hypothesis.joined()).count)
        return 2 * (precision * recall / (precision + recall + 1e-8))
    }

    /// One longest common subsequence: of several, the one that the package finds on its way back through the table.
    private static func commonSubsequence(_ left: [Int], _ right: [Int]) -> [Int] {
        let width = right.count + 1
        var lengths = [Int](repeating: 0, count: (left.count + 1) * width)
        for row in 1...left.count {
            for column in 1...right.count {
                lengths[row * width + column] =
                    left[row - 1] == right[column - 1]
                    ? lengths[(row - 1) * width + column - 1] + 1
                    : max(lengths[(row - 1) * width + column], lengths[row * width + column - 1])
            }
        }
        var (row, column) = (left.count, right.count)
        var found: [Int] = []
        while row > 0, column > 0 {
            if left[row - 1] == right[column - 1] {
                found.append(left[row - 1])
                row -= 1
                column -= 1
            } else if lengths[(row - 1) * width + column] > lengths[row * width + column - 1] {
                row -= 1
            } else {
                column -= 1
            }
        }
        return found
    }

    /// Numbers for words; words are equal when their bytes are, because Swift's equality of strings is wider than
    /// Python's.
    private struct Words {
        private var numbers: [[UInt8]: Int] = [:]

        /// The words of each sentence. A sentence of white space alone has one word, the empty one.
        mutating func sentences(_ text: String) -> [[Int]] {
            text.unicodeScalars.split(separator: ".").map { sentence in
                let words = sentence.split(whereSeparator: PythonSpace.contains)
                return words.isEmpty ? [number(of: [])] : words.map { number(of: Array(String($0).utf8)) }
            }
        }

        private mutating func number(of word: [UInt8]) -> Int {
            if let known = numbers[word] { return known }
            numbers[word] = numbers.count
            return numbers.count - 1
        }
    }
}

/// The characters that Python's `str.split` and `str.strip` treat as white space.
enum PythonSpace {
    static func contains(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
    }

    /// A text without white space at its ends.
    static func strip(_ text: some StringProtocol) -> String {
        let scalars = Array(text.unicodeScalars)
        guard let first = scalars.firstIndex(where: { !contains($0) }),
            let last = scalars.lastIndex(where: { !contains($0) })
        else { return "" }
        return String(String.UnicodeScalarView(scalars[first...last]))
    }
}
