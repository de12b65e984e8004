import RetortCore
import RetortDomains

/// The page on which a domain is tried out.
struct TryPage: Sendable {
    struct Choice: Sendable {
        let value: String
        let name: String
        let isChosen: Bool
    }

    struct Deed: Sendable {
        let title: String
        let detail: String
        let seen: StepCard.Seen?
        let found: VisibleText?
        let verdicts: [Opinion]
        let deedFault: VisibleText?
    }

    struct Opinion: Sendable {
        let grader: String
        let mark: Mark
        let reason: String
    }

    let name: String
    let domainName: String
    let domains: [Choice]
    let guidance: String?
    let tools: [ToolForm]
    let hasTools: Bool
    let hasDocuments: Bool
    let tasks: [Choice]
    let hasTasks: Bool
    let question: VisibleText
    let references: String
    let state: VisibleText?
    let deeds: [Deed]

    private static let mostTasks = 300

    init(_ name: String, among names: [String], _ table: TriedDomain) async {
        let domain = table.domain
        let (task, done, state) = (await table.task, await table.deeds, await table.state())
        (self.name, domainName) = (name, name)
        domains = names.map { Choice(value: $0, name: $0, isChosen: $0 == name) }
        guidance = domain.guidance.map { VisibleText.line($0, upTo: 1200) }
        tools = domain.tools.map(ToolForm.init)
        hasTools = !tools.isEmpty
        hasDocuments = domain.retriever != nil
        tasks = table.tasks.prefix(Self.mostTasks).map {
            Choice(
                value: $0.id, name: "\($0.split): \(VisibleText.line($0.question, upTo: 100))",
                isChosen: $0.id == task.id)
        }
        hasTasks = !tasks.isEmpty
        question = VisibleText(task.question, place: "")
        references = VisibleText.line(task.answers.joined(separator: " or "), upTo: 400)
        self.state = state.map { VisibleText($0.jsonText, place: "") }
        deeds = done.map(Self.deed)
    }

    private static func deed(_ deed: TriedDomain.Deed) -> Deed {
        var (seen, found, fault): (StepCard.Seen?, VisibleText?, VisibleText?) = (nil, nil, nil)
        var verdicts: [Opinion] = []
        switch deed.outcome {
        case .seen(let observation): seen = StepCard.seen(observation, "")
        case .text(let text): found = VisibleText(text, place: "")
        case .fault(let words): fault = VisibleText(words, place: "")
        case .verdicts(let all):
            verdicts = all.map {
                Opinion(
                    grader: VisibleText.line($0.grader, upTo: 60),
                    mark: Mark(ending: "answered", isCorrect: $0.verdict.isCorrect),
                    reason: VisibleText.line($0.verdict.reason, upTo: 400))
            }
        }
        return Deed(
            title: deed.title, detail: VisibleText.line(deed.detail, upTo: 400), seen: seen, found: found,
            verdicts: verdicts,
            deedFault: fault)
    }
}
