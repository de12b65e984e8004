import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation

/// The request to a teacher for a question, and how its reply is read.
struct QuestionWish {
    let text: String

    /// - Parameters:
    ///   - number: the number of the try; each begins somewhere else.
    ///   - topics: where to begin.
    ///   - examples: tasks that show the style, of which two are drawn.
    init(_ number: Int, _ seed: UInt64, topics: [String], examples: [AgentTask]) {
        var generator = SeededGenerator(seed: seed, "wish \(number)")
        let lookups = Int.random(in: 1...3, using: &generator)
        let topic = topics.randomElement(using: &generator)
        var lines = [
            "Make a question that others will answer with your tools.",
            "First call the tools and look at what is there" + (topic.map { ", beginning with: \($0)" } ?? "") + ".",
            "Then think of a question with one short answer, which nobody knows without calling the tools.",
            "Answering should take "
                + (lookups == 1 ? "one call." : "\(lookups) calls, each of which needs what the one before showed."),
            "The question names all that it is about, says nothing of the tools, and does not hold its answer.",
        ]
        let shown = examples.shuffled(using: &generator).prefix(2)
        if !shown.isEmpty { lines.append("In the manner of, but about something else:") }
        lines += shown.map { "- \($0.question)" }
        lines.append(
            "When you have found the answer with the tools, give as your final answer one text, which is two lines:")
        lines += ["Question: …", "Answer: …"]
        text = lines.joined(separator: "\n")
    }

    /// The question and its answer in a run: from its final answer, or else from the last turn with them. Small
    /// teachers write the two lines without a program around them.
    static func read(_ run: Trajectory) -> (question: String, answer: String)? {
        run.answer.flatMap(read) ?? run.steps.reversed().lazy.compactMap { read(words(of: $0)) }.first
    }

    /// The whole text of a turn.
    static func words(of step: Step) -> String {
        if case .unparsable(let text, _) = step.action { return "\(step.thought)\n\(text)" }
        return "\(step.thought)\n\(step.action.code ?? "")"
    }

    /// The question and its answer in a text: two marked lines, or a mapping.
    static func read(_ answer: String) -> (question: String, answer: String)? {
        if let members = (try? ExactJSON.value(of: answer))?.object {
            let found = Dictionary(members.map { ($0.key.lowercased(), $0.value.text) }, uniquingKeysWith: { $1 })
            return pair(found["question"], found["answer"])
        }
        // Models also write line breaks as two characters.
        let text = answer.replacing("\\n", with: "\n")
        guard let start = text.range(of: "question:", options: .caseInsensitive),
            let end = text.range(
                of: "answer:", options: [.caseInsensitive, .backwards], range: start.upperBound..<text.endIndex)
        else { return nil }
        // A program's end, or anything else that follows, is not part of the answer's line.
        let line = text[end.upperBound...].drop(while: \.isWhitespace).prefix { !$0.isNewline }
        return pair(String(text[start.upperBound..<end.lowerBound]), String(line))
    }

    private static func pair(_ question: String?, _ answer: String?) -> (question: String, answer: String)? {
        let marks = CharacterSet.whitespacesAndNewlines.union(CharacterSet(charactersIn: "*`\"')"))
        guard let question = question?.trimmingCharacters(in: marks),
            let answer = answer?.trimmingCharacters(in: marks),
            !question.isEmpty, !answer.isEmpty, question != "…", answer != "…"
        else { return nil }
        return (question, answer)
    }

    /// Why a question cannot be a task whatever its solutions say; nil when it can.
    static func fault(_ question: String, _ answer: String) -> MadeTask.Outcome? {
        let words = question.split(whereSeparator: \.isWhitespace).count
        let isFit = (4...150).contains(words) && answer.count <= 200 && !question.containsWord(answer)
        return isFit ? nil : .unfit
    }
}

/// Where questions may begin.
enum Topics {
    /// How many topics are drawn from the beginning of a corpus.
    private static let most = 20_000
    private static let longest = 80

    /// The titles of a domain's passages, or the names of its tools.
    static func of(_ domain: any Domain) throws -> [String] {
        var titles: [String] = []
        if let file = domain.documents {
            struct Passage: Decodable {
                var title: String?
                var contents: String?
            }
            var known: Set<String> = []
            for line in try Data(contentsOf: file, options: .mappedIfSafe).split(separator: 0x0A).prefix(most) {
                guard let passage = try? JSONCoding.decoder.decode(Passage.self, from: Data(line)) else { continue }
                let first = passage.contents?.split(whereSeparator: \.isNewline).first.map(String.init)
                let title = (passage.title ?? first ?? "").trimmingCharacters(in: .whitespaces)
                if !title.isEmpty, title.count <= longest, known.insert(title).inserted { titles.append(title) }
            }
        }
        return titles.isEmpty ? domain.tools.map { "the tool \($0.name)" } : titles
    }
}

/// The questions that a new one must differ from.
struct QuestionPool {
    private let tests: TrainingText
    private var words: [Set<String>]
    /// The share of common words from which on two questions count as the same.
    private static let alike = 0.9

    init(_ domain: any Domain) {
        tests = TrainingText(domain.tests.map(\.question))
        words = (domain.train + domain.validation).map { $0.question.wordSet }
    }

    mutating func add(_ question: String) { words.append(question.wordSet) }

    /// Why a question is not a new one; nil when it is.
    func fault(_ question: String) -> MadeTask.Outcome? {
        let task = AgentTask(id: "", question: question, answers: [], family: .factual)
        let found = Contamination([task], in: tests)
        // The same question with another number is another question.
        if !found.exact.isEmpty || !found.overlapping.isEmpty { return .tested }
        let own = question.wordSet
        return words.contains { own.similarity(to: $0) >= Self.alike } ? .repeated : nil
    }
}
