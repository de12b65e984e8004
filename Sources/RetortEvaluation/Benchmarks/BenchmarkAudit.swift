import Foundation
import RetortCore

/// What a benchmark's file contains, and whether it can be trusted: its checksum, what is repeated or unanswered in it,
/// which of its questions occur in training, and whether the grader tells its answers from others'.
public struct BenchmarkAudit: Codable, Sendable, Hashable {
    /// The benchmark's name.
    public var benchmark: String
    /// The file's full path.
    public var file: String
    /// The number of questions.
    public var n: Int
    /// Whether the number is the expected one; nil when none is known.
    public var isComplete: Bool?
    /// The file's SHA-256 in hexadecimal digits.
    public var checksum: String
    /// Whether the checksum is the expected one; nil when none is known.
    public var isUnchanged: Bool?
    /// Questions that occur earlier in the file.
    public var repeated: Int
    /// Records without an answer, which are not counted as questions.
    public var unanswered: Int
    /// How many reference answers the grader accepts for their own questions.
    public var ownAccepted: Int
    /// How many reference answers the grader accepts for another question, out of `strangersTried`.
    public var strangersAccepted: Int
    /// How many reference answers were graded for another question whose own answer differs.
    public var strangersTried: Int
    /// Questions that also occur in training; nil when there was no training to compare with.
    public var contamination: Contamination?

    /// Audits a benchmark.
    /// - Parameters:
    ///   - folder: the data folder.
    ///   - training: the questions to compare with; nil compares with none.
    /// - Throws: `BenchmarkError`, also when the grader refuses a question's own answer, or accepts too many answers of
    ///   other questions.
    public static func of(
        _ benchmark: Benchmark, in folder: URL, grader: some Grader = FamilyGrader(), training: TrainingText? = nil
    ) async throws -> (audit: BenchmarkAudit, tasks: [AgentTask]) {
        let questions = try benchmark.questions(in: folder)
        let url = folder.appendingPathComponent(benchmark.file)
        let hash = try ContentHash.sha256([url])
        let tasks = questions.tasks
        var audit = BenchmarkAudit(
            benchmark: benchmark.name, file: url.path, n: tasks.count,
            isComplete: benchmark.count.map { $0 == tasks.count }, checksum: hash,
            isUnchanged: benchmark.checksum.map { $0 == hash }, repeated: questions.repeated,
            unanswered: questions.unanswered, ownAccepted: 0, strangersAccepted: 0, strangersTried: 0,
            contamination: training.map { Contamination(tasks, in: $0) })
        try await audit.testGrader(tasks, grader)
        return (audit, tasks)
    }

    /// Grades each answer for its own question, and for the question half the list further on.
    private mutating func testGrader(_ tasks: [AgentTask], _ grader: some Grader) async throws {
        for (index, task) in tasks.enumerated() {
            let own = await grader.grade(task.answers.first, for: task)
            guard own.isCorrect else {
                throw BenchmarkError.distrusted(
                    benchmark: benchmark,
                    reason: "the answer '\(task.answers.first ?? "")' of \(task.id) is refused: \(own.reason)")
            }
            ownAccepted += 1
            let other = tasks[(index + tasks.count / 2) % tasks.count]
            guard let answer = other.answers.first, answer != task.answers.first else { continue }
            strangersTried += 1
            if await grader.grade(answer, for: task).isCorrect { strangersAccepted += 1 }
        }
        // Among a hundred different answers few have equal values; a grader that accepts anything fails here.
        guard strangersAccepted * 50 <= max(strangersTried, 50) else {
            throw BenchmarkError.distrusted(
                benchmark: benchmark,
                reason: "\(strangersAccepted) of \(strangersTried) answers to other questions are accepted")
        }
    }
}

/// The questions and texts that a student is trained on, prepared for comparison.
public struct TrainingText: Sendable {
    fileprivate let questions: Set<String>
    fileprivate let grams: Set<UInt64>
    /// The same with all numbers replaced by one sign.
    fileprivate let unnumbered: Set<String>
    fileprivate let unnumberedGrams: Set<UInt64>
    fileprivate static let length = 8

    /// - Parameter texts: training questions.
    public init(_ texts: some Sequence<String>) {
        var questions: Set<String> = []
        var grams: Set<UInt64> = []
        var unnumbered: Set<String> = []
        var unnumberedGrams: Set<UInt64> = []
        for text in texts {
            let words = Self.words(text)
            questions.insert(words.joined(separator: " "))
            grams.formUnion(Self.grams(words))
            let plain = Self.unnumbered(words)
            unnumbered.insert(plain.joined(separator: " "))
            unnumberedGrams.formUnion(Self.grams(plain))
        }
        (self.questions, self.grams) = (questions, grams)
        (self.unnumbered, self.unnumberedGrams) = (unnumbered, unnumberedGrams)
    }

    /// The words with one sign for every number, in digits or words: `1,234.5`, `7` and `twenty-one` become one sign,
    /// and `5kg` the sign and `kg`.
    fileprivate static func unnumbered(_ words: [String]) -> [String] {
        words.flatMap(runs).reduce(into: []) { plain, word in
            let isNumber =
                word.allSatisfy(\.isNumber) || NumberWords.isPart(word) || NumberWords.isOrdinal(word)
            if !isNumber || plain.last != "#" { plain.append(isNumber ? "#" : word) }
        }
    }

    /// The runs of digits and of letters in a word; the ending of an ordinal, as in `3rd`, is left out.
    private static func runs(_ word: String) -> [String] {
        var runs: [String] = []
        for character in word {
            if let last = runs.last?.last, last.isNumber == character.isNumber {
                runs[runs.count - 1].append(character)
            } else {
                runs.append(String(character))
            }
        }
        return runs.count == 2 && word.first?.isNumber == true && ["st", "nd", "rd", "th"].contains(runs[1])
            ? [runs[0]] : runs
    }

    /// Words of lower-case letters and digits.
    fileprivate static func words(_ text: String) -> [String] {
        text.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
    }

    fileprivate static func grams(_ words: [String]) -> [UInt64] {
        guard words.count >= length else { return [] }
        return (0...(words.count - length)).map { start in
            StableHash.of(words[start..<(start + length)].joined(separator: " "))
        }
    }
}

/// Which of a benchmark's questions occur in the training data.
public struct Contamination: Codable, Sendable, Hashable {
    /// The ids of questions that are training questions, apart from case and punctuation.
    public var exact: [String]
    /// The ids of other questions of which at least half of all runs of eight words occur in training questions.
    public var overlapping: [String]
    /// The ids of further questions that equal training questions, or overlap with them as above, apart from their
    /// numbers, as GSM-Hard's questions do GSM8K's. Nil in older audits, which did not look for them.
    public var altered: [String]?

    /// Looks up test questions among training questions.
    public init(_ tasks: [AgentTask], in training: TrainingText) {
        (exact, overlapping) = ([], [])
        var altered: [String] = []
        for task in tasks {
            let words = TrainingText.words(task.question)
            if training.questions.contains(words.joined(separator: " ")) {
                exact.append(task.id)
                continue
            }
            let plain = TrainingText.unnumbered(words)
            if Self.overlaps(words, training.grams) {
                overlapping.append(task.id)
            } else if plain.contains("#"),
                training.unnumbered.contains(plain.joined(separator: " "))
                    || Self.overlaps(plain, training.unnumberedGrams)
            {
                altered.append(task.id)
            }
        }
        self.altered = altered
    }

    private static func overlaps(_ words: [String], _ known: Set<UInt64>) -> Bool {
        let grams = TrainingText.grams(words)
        return !grams.isEmpty && grams.count(where: known.contains) * 2 >= grams.count
    }

    /// Whether none of the questions occurs in training.
    public var isEmpty: Bool { exact.isEmpty && overlapping.isEmpty && altered?.isEmpty != false }

    /// The ids of the first two questions of each kind.
    public var examples: [String] { [exact, overlapping, altered ?? []].flatMap { $0.prefix(2) } }
}
