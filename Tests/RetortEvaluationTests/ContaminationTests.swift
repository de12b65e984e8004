import RetortCore
import Testing

@testable import RetortEvaluation

@Suite("Test questions that training knows")
struct ContaminationTests {
    private func task(_ id: String, _ question: String) -> AgentTask {
        AgentTask(id: id, question: question, answers: ["1"], family: .math)
    }

    @Test("with other numbers a question is still the same; another of the same length is not")
    func numbers() {
        let training = TrainingText([
            "A baker sells 12 loaves a day at $3.50 each and gives 2 of them away. What does she earn in 7 days?",
            "How many legs do 4 spiders have?",
        ])
        let found = Contamination(
            [
                task(
                    "same",
                    "a baker sells 12 loaves a day at $3.50 each and gives 2 of them away: what does she earn in 7 days"
                ),
                task(
                    "other numbers",
                    "A baker sells 1,234,567 loaves a day at $9 each and gives 85.5 of them away. What does she earn in 301 days?"
                ),
                task("short", "How many legs do 7 spiders have?"),
                task(
                    "other words",
                    "A mason lays 12 bricks an hour for 3.50 hours and breaks 2 of them. How many are left after 7 walls?"
                ),
                task("no number", "How many legs do some spiders have?"),
            ], in: training)
        #expect(found.exact == ["same"] && found.overlapping == [])
        #expect(found.altered == ["other numbers", "short"])
        #expect(!found.isEmpty && found.examples == ["same", "other numbers", "short"])
    }

    @Test("a number is one in words, beside its unit, as an ordinal and in a formula")
    func writtenNumbers() {
        let training = TrainingText([
            "A crate of 5kg and one of 7kg are weighed. How heavy are both?",
            "The shop opens on the 3rd of May at 10am. When does it close?", "Solve x + 3 = 10 for 2x.",
            "A class has twelve boys and three girls. How many children are there?", "Who wrote the third letter?",
        ])
        let found = Contamination(
            [
                task("unit", "A crate of 19kg and one of 2kg are weighed. How heavy are both?"),
                task("ordinal", "The shop opens on the 21st of May at 9am. When does it close?"),
                task("formula", "Solve x + 14 = 1,000 for 7x."),
                task("words", "A class has twenty-one boys and seven girls. How many children are there?"),
                task("ordinal word", "Who wrote the twelfth letter?"),
                task("another unit", "A crate of 5lb and one of 7lb are weighed. How wide are they?"),
                task("another name", "Who wrote the last letter?"),
            ], in: training)
        #expect(found.exact == [] && found.overlapping == [])
        #expect(found.altered == ["unit", "ordinal", "formula", "words", "ordinal word"])
    }
}
