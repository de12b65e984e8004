import RetortAgents
import RetortCore
import RetortTesting
import Testing

@Suite("First thought")
struct FirstThoughtTests {
    private let question = "How many apples are in 3 boxes of 12 with 5 more?"

    private func read(_ solution: String, answers: [String] = ["41"], limit: Int = 400) -> FirstThought {
        FirstThought(of: solution, question: question, answers: answers, limit: limit)
    }

    @Test("is the first paragraph")
    func plain() {
        #expect(
            read("I multiply first.\n\n3 * 12 = 36, and 36 + 5 = 41.\n\nAnswer: 41") == .usable("I multiply first.", [])
        )
    }

    @Test(
        "a solution of marks alone has no thought, whole or cut",
        arguments: [
            "> > >", "* * *", "•", "1. ", "- - -\n* *", "**", "Step 1: ", "\u{2022} \u{2022}", "Thought:", "#", "\r\n>",
        ],
        [true, false])
    func marks(solution: String, isWhole: Bool) {
        guard case .unusable = FirstThought(of: solution, question: question, isWhole: isWhole) else {
            Issue.record("\(FirstThought(of: solution, question: question, isWhole: isWhole))")
            return
        }
    }

    @Test("no text ends the process, whole or cut")
    func anyText() {
        var generator = SeededGenerator(seed: 5, "solutions")
        let pieces = [
            ">", " ", "*", "**", "•", "\n", "\n\n", "1.", "2)", "a", "A.", "Step 3:", "#", "```", ".", "\r\n",
            "Answer:",
        ]
        for index in 0..<4000 {
            let text = (0..<Int.random(in: 0...8, using: &generator))
                .compactMap { _ in pieces.randomElement(using: &generator) }.joined()
            _ = FirstThought(of: text, question: question, answers: ["a"], isWhole: index.isMultiple(of: 2), limit: 20)
        }
    }

    @Test(
        "headings and list marks are passed over",
        arguments: [
            "## Step 1: Understand\n\nI multiply first.\n\nThen I add.", "**Plan**\n\nI multiply first.\n\nThen I add.",
            "Let us solve it:\nI multiply first.\n\nThen I add.", "1. I multiply first.\n\n2. Then I add.",
            "**Step 1:** I multiply first.\n\nThen I add.", "<think>hm</think>\nI multiply first.\n\nThen I add.",
        ])
    func headings(solution: String) {
        guard case .usable("I multiply first.", _) = read(solution) else {
            Issue.record("\(read(solution))")
            return
        }
    }

    @Test("a solution of one paragraph does not give itself away")
    func oneParagraph() {
        #expect(
            read("I multiply 3 by 12. That is 36. Adding 5 gives 41. So the answer is 41.")
                == .usable("I multiply 3 by 12. That is 36.", [.answerRemoved, .conclusionRemoved].sorted()))
        #expect(read("It is 41.") == .unusable(.onlyConclusion))
        #expect(read("It is 41. I just know.\n\nReally.") == .unusable(.answerAtOnce))
    }

    @Test("the solution's own answer is a leak, too; one that the question names is not")
    func ownAnswer() {
        #expect(
            read("The founder is Ana Berg. She was born in Tarn.\n\nAnswer: Ana Berg", answers: ["Bo Lind"])
                == .unusable(.answerAtOnce))
        let first = FirstThought(
            of: "I compare Tarn and Ost.\n\nAnswer: Tarn", question: "Which is older, Tarn or Ost?", answers: ["Tarn"])
        #expect(first == .usable("I compare Tarn and Ost.", []))
    }

    @Test("it ends at a whole sentence within the limit, and says why there is none")
    func limits() {
        #expect(read("One is J. Smith. Two is long.\n\nMore.", limit: 20) == .usable("One is J. Smith.", [.shortened]))
        #expect(read("One is much too long.\n\nMore.", limit: 5) == .unusable(.tooLong))
        #expect(read("") == .unusable(.empty))
        #expect(read("## A\n\n## B") == .unusable(.onlyHeadings))
    }

    @Test("the agent's first turn begins with it, is read and learned whole, and later turns are its own")
    func policy() async throws {
        let model = ScriptedModel([
            ["I multiply first.\n\nThen I add.\n\nAnswer: 41"], ["Then I add.\nCode:\n```py\nx = 42\n```"],
            [turn("final x")],
        ])
        let agent = CodeAgent(model: model, view: bareView)
        let policy = FirstThoughtPrefix(agent, reasoning: model, view: ChainOfThoughtView(instructions: .full))
        let run = Rollout(policy: policy) { CounterEnvironment(log: .init()) }
        let trajectory = try await run.trajectory(for: task)
        #expect(trajectory.ending == .answered(42))
        #expect(trajectory.steps[0].thought == "I multiply first.\nThen I add.")
        #expect(trajectory.steps[0].usage.completionTokens == 20)
        #expect(trajectory.id == "t/agent+ftp/0")
        let prefills = model.requests.map(\.prefill)
        #expect(prefills == ["", "Thought: I multiply first.\n", ""])
        let learned = bareView.messages(for: trajectory)[2].text
        #expect(learned == "Thought: I multiply first.\nThen I add.\nCode:\n```py\nx = 42\n```")
        #expect(policy.tally.used == 1)
    }
}
