import Foundation
import RetortCore
import RetortStore

/// A set of test questions, described as data: where it lies, how its records are read, and what it must contain.
public struct Benchmark: Codable, Sendable, Hashable {
    /// What recipes and tables call it.
    public var name: String
    public var title: String
    /// Relative to the data folder.
    public var file: String
    public var family: AgentTask.Family
    /// Which members of a record are the question, the answer and the id.
    public var fields: QuestionFile.Fields
    /// How many questions it has; nil when that is not known.
    public var count: Int?
    /// The SHA-256 of the file in hexadecimal digits; nil when any will do.
    public var checksum: String?
    /// Where it comes from.
    public var source: String

    /// - Parameter file: relative to the data folder.
    public init(
        name: String, title: String, file: String, family: AgentTask.Family, fields: QuestionFile.Fields = .usual,
        count: Int? = nil, checksum: String? = nil, source: String = ""
    ) {
        (self.name, self.title, self.file, self.family) = (name, title, file, family)
        (self.fields, self.count, self.checksum, self.source) = (fields, count, checksum, source)
    }

    /// The questions; their split is the benchmark's name.
    /// - Parameter folder: the data folder.
    /// - Throws: `BenchmarkError.missing`, `QuestionFileError` and `JSONLinesError`.
    public func questions(in folder: URL) throws -> QuestionFile {
        let url = folder.appendingPathComponent(file)
        guard FileManager.default.fileExists(atPath: url.path) else {
            throw BenchmarkError.missing(benchmark: name, file: url.path)
        }
        return try QuestionFile(url, family: family, split: name, tornEnd: .leaveOut, fields: fields)
    }

    /// Reads descriptions that a user wrote: a JSON list of benchmarks.
    public static func read(_ file: URL) throws -> [Benchmark] {
        guard let data = try? Data(contentsOf: file) else { throw JSONLinesError.missing(file: file.path) }
        do {
            return try JSONCoding.decoder.decode([Benchmark].self, from: data)
        } catch {
            throw BenchmarkError.malformed(file: file.path, reason: "\(error)")
        }
    }
}

extension Benchmark {
    /// The eight test sets of agent distillation (arXiv 2505.17612), in the paper's order.
    public static let paper: [Benchmark] = [
        paper(
            "hotpotqa", "HotpotQA", "hotpotqa_500_20250422", .factual, 500,
            "770b2740d2d5195f983dbeae3c770900edab776b5986b4cbff3194443a771b00"),
        paper(
            "bamboogle", "Bamboogle", "bamboogle_125_20250507", .factual, 125,
            "f6c5f3dd17521cf33a1d597d75525d65673687b3219ffe0339eae21b28d69be4"),
        paper(
            "musique", "MuSiQue", "musique_500_20250504", .factual, 500,
            "683634bcc958a79b144cffb815d4f56002dc22ed7358e11b897f9ff03ba69110"),
        paper(
            "2wiki", "2WikiMultiHopQA", "2wikimultihopqa_500_20250511", .factual, 500,
            "5034d0e66b38f5e54f20934cbb02ff1d38f0b292efe81da05b5ebdeafcb1bb07"),
        paper(
            "math-500", "MATH-500", "math_500_20250414", .math, 500,
            "32ae376ee63aee4a1e59ea167afebffa0031250b154d1805d13522c60c6069cb"),
        paper(
            "gsm-hard", "GSM-Hard", "gsm_hard_500_20250507", .math, 500,
            "970c69744216a75fe04eb86ff1adaf208df5191e2731c6ef0610bd2312266498"),
        paper(
            "aime", "AIME 2022–2024", "aime_90_20250504", .math, 90,
            "445868439c6c88c8f3ac99c9aabae90606cac43ade63597936bec37a22d510c0"),
        paper(
            "olymmath", "OlymMATH", "olymath_200_20250511", .math, 200,
            "dc105d5747a37031d1f981865dd5603d533488a435b8a2a0722fd167081912d1"),
    ]

    /// All that are known.
    public static let all: [Benchmark] =
        paper + [
            Benchmark(
                name: "gsm8k", title: "GSM8K", file: "gsm8k/test.jsonl", family: .math, count: 1319,
                checksum: "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
                source: "openai/grade-school-math"),
            Benchmark(
                name: "svamp", title: "SVAMP", file: "svamp/SVAMP.json", family: .math,
                fields: QuestionFile.Fields(question: ["Body", "Question"], answer: "Answer", id: "ID"),
                source: "arkilpatel/SVAMP"),
        ]

    private static func paper(
        _ name: String, _ title: String, _ file: String, _ family: AgentTask.Family, _ count: Int, _ hash: String
    ) -> Benchmark {
        Benchmark(
            name: name, title: title, file: "agent-distillation/test/\(file).json", family: family, count: count,
            checksum: hash, source: "Nardien/agent-distillation")
    }

    /// - Throws: `BenchmarkError.unknown` that lists the known names.
    public static func named(_ name: String, among known: [Benchmark] = all) throws -> Benchmark {
        guard let found = known.first(where: { $0.name == name }) else {
            throw BenchmarkError.unknown(name, known: known.map(\.name))
        }
        return found
    }
}

/// A benchmark that cannot be used.
public enum BenchmarkError: Error, CustomStringConvertible, Equatable {
    case unknown(String, known: [String])
    case missing(benchmark: String, file: String)
    case malformed(file: String, reason: String)
    /// Its own answers are not accepted, or others' are.
    case distrusted(benchmark: String, reason: String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .unknown(let name, let known):
            "there is no benchmark '\(name)'; known are \(known.joined(separator: ", "))"
        case .missing(let benchmark, let file):
            "the benchmark '\(benchmark)' is not at \(file); put it there, or name another data folder"
        case .malformed(let file, let reason): "\(file) is no list of benchmarks: \(reason)"
        case .distrusted(let benchmark, let reason): "the grader cannot be trusted with '\(benchmark)': \(reason)"
        }
    }
}
