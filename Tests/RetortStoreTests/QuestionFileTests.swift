import Foundation
import RetortCore
import RetortStore
import Testing

@Suite("Question file")
struct QuestionFileTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    @Test("agent-distillation's form: metadata, then examples")
    func examples() throws {
        let file = try folder.file(
            "hotpot.json",
            """
            {"metadata": {"total": 1}, "examples": [
              {"id": "5a8", "question": "Where?", "answer": "Coahuila, Mexico", "level": "hard", "split": "test"}]}
            """)
        let questions = try QuestionFile(file, family: .factual, split: "out")
        #expect(
            questions.tasks == [
                AgentTask(
                    id: "hotpot-5a8", question: "Where?", answers: ["Coahuila, Mexico"], family: .factual, split: "out",
                    metadata: ["level": "hard", "sourceSplit": "test"])
            ])
        #expect(questions.omissions.isEmpty)
    }

    @Test("GSM8K's form: the answer after the reasoning, which is kept")
    func gsm8k() throws {
        let file = try folder.file(
            "gsm8k.jsonl", #"{"question": "How many?", "answer": "2+2=<<2+2=4>>4\nMore.\n#### 2,125"}"# + "\n")
        let task = try #require(try QuestionFile(file, family: .math, split: "train").tasks.first)
        #expect(task.id == "gsm8k-0")
        #expect(task.answers == ["2,125"])
        #expect(task.metadata["rationale"] == "2+2=<<2+2=4>>4\nMore.")
    }

    @Test(
        "answers as texts",
        arguments: [
            ("13138980.0", ["13138980"]), ("-3.0", ["-3"]), ("42", ["42"]), ("561161.75", ["561161.75"]),
            ("4.46752e-05", ["4.46752e-05"]), ("\" yes \"", ["yes"]), ("[\"a\", 2]", ["a", "2"]),
            (#""\\frac{1}{2}""#, ["\\frac{1}{2}"]),
        ])
    func answers(json: String, texts: [String]) throws {
        let file = try folder.file("q.jsonl", "{\"question\": \"?\", \"answer\": \(json)}\n")
        #expect(try QuestionFile(file, family: .math, split: "").tasks.map(\.answers) == [texts])
    }

    @Test("a question without an answer is left out and counted", arguments: ["null", "\"\"", "\" \"", "[]"])
    func unanswered(json: String) throws {
        let file = try folder.file(
            "q.jsonl",
            "{\"question\":\"a\",\"answer\":\(json)}\n{\"question\":\"b\"}\n{\"question\":\"c\",\"answer\":1}\n")
        let questions = try QuestionFile(file, family: .math, split: "")
        #expect(questions.tasks.map(\.question) == ["c"])
        #expect(questions.unanswered == 2)
        #expect(questions.omissions.map(\.record) == [1, 2])
    }

    @Test("a question that stands there before is counted, and left out on request")
    func repeats() throws {
        let file = try folder.file(
            "q.jsonl", (1...3).map { "{\"id\":7,\"question\":\"a\",\"answer\":\($0)}\n" }.joined())
        let all = try QuestionFile(file, family: .math, split: "")
        #expect(all.tasks.map(\.id) == ["q-7", "q-7#2", "q-7#3"])
        #expect(all.repeated == 2)
        let once = try QuestionFile(file, family: .math, split: "", repeats: .leaveOut)
        #expect(once.tasks.map(\.answers) == [["1"]])
        #expect(once.omissions.map(\.reason) == [.repeated(first: 1), .repeated(first: 1)])
    }

    @Test("a cut file is an error, or an omission on request")
    func torn() throws {
        let file = try folder.file("q.jsonl", "{\"question\":\"a\",\"answer\":1}\n{\"question\":\"b")
        #expect(throws: JSONLinesError.self) { try QuestionFile(file, family: .math, split: "") }
        let questions = try QuestionFile(file, family: .math, split: "", tornEnd: .leaveOut)
        #expect(questions.tasks.count == 1)
        #expect(questions.omissions.map(\.reason) == [.torn])
    }

    @Test("a record without a question is named")
    func noQuestion() throws {
        let list = try folder.file("q.json", "{\"examples\": [{\"question\": \"a\", \"answer\": 1}, 5]}")
        #expect(throws: QuestionFileError.noQuestion(file: list.path, record: 2)) {
            try QuestionFile(list, family: .math, split: "")
        }
        let other = try folder.file("other.json", "{\"data\": []}")
        #expect(throws: QuestionFileError.noExamples(file: other.path)) {
            try QuestionFile(other, family: .math, split: "")
        }
    }
}
