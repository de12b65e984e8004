import RetortCore

/// The page on which a talk is started.
struct TalksPage: Sendable {
    struct Choice: Sendable {
        let name: String
        let isChosen: Bool
    }

    struct Open: Sendable {
        let href: String
        let name: String
    }

    let choices: [Choice]
    let hasAgents: Bool
    let open: [Open]

    init(_ desk: OpenTalks) async {
        choices = desk.names.enumerated().map { Choice(name: $1, isChosen: $0 == 0) }
        hasAgents = !choices.isEmpty
        open = await desk.all.map { talk in
            Open(href: "/talk/\(talk.id)", name: talk.sides.map(\.name).joined(separator: " beside "))
        }
    }
}

/// The page of a talk.
struct TalkPage: Sendable {
    let href: String
    let sides: [TalkPart]
    let isPair: Bool

    init(_ talk: Talk) async {
        href = "/talk/\(talk.id)"
        isPair = talk.sides.count > 1
        var parts: [TalkPart] = []
        for (number, side) in talk.sides.enumerated() {
            parts.append(TalkPart(await side.look, side.name, number, talk))
        }
        sides = parts
    }
}

/// One side of a talk: the part of the page that is kept up to date.
struct TalkPart: Sendable {
    struct Turn: Sendable {
        let question: VisibleText
        let steps: [Numbered]
        let outcome: Outcome?
    }

    struct Numbered: Sendable {
        let card: StepCard
        /// Where the talk can be taken back to before this step; nil where it cannot.
        let back: String?
        let side: Int
        let number: Int
    }

    struct Outcome: Sendable {
        let answer: VisibleText
        let isNone: Bool
        let ending: String
    }

    let number: Int
    let name: String
    let href: String
    let turns: [Turn]
    let isBusy: Bool
    /// The question to an agent that is still being opened.
    let opening: VisibleText?
    /// Where stopped work can be continued; nil if none was stopped.
    let goOn: String?
    let talkFault: String?
    let saved: String?
    let canSave: Bool

    init(_ look: TalkSide.Look, _ name: String, _ number: Int, _ talk: Talk) {
        self.number = number
        self.name = name
        href = "/talk/\(talk.id)"
        isBusy = look.isBusy
        opening = look.pending.map { VisibleText($0, place: "") }
        let all = look.past + (look.now.map { [$0] } ?? [])
        let canGoBack = !look.isBusy
        turns = all.enumerated().map { index, trajectory in
            let isLast = index == all.count - 1 && look.now != nil
            return Self.turn(
                trajectory, anchor: "t\(number)-\(index)-", back: isLast && canGoBack ? "/talk/\(talk.id)/back" : nil,
                number
            ) { part, step in
                StudioQuery.address(
                    "/talk/\(talk.id)/text",
                    [("side", "\(number)"), ("turn", "\(index)"), ("part", part), ("step", step.map(String.init))])
            }
        }
        goOn = look.now.map { $0.ending == nil && !look.isBusy } == true ? "/talk/\(talk.id)/go" : nil
        talkFault = look.fault.map { VisibleText.line($0, upTo: 600) }
        saved = look.saved.map { VisibleText.line($0, upTo: 120) }
        canSave = look.now != nil && !look.isBusy && look.saved == nil
    }

    private static func turn(
        _ trajectory: Trajectory, anchor: String, back: String?, _ side: Int, place: (String, Int?) -> String
    ) -> Turn {
        Turn(
            question: VisibleText(trajectory.task.question, place: place("question", nil)),
            steps: trajectory.steps.enumerated().map { index, step in
                Numbered(
                    card: StepCard(step, number: index + 1, anchor: "\(anchor)\(index + 1)") { place($0, index) },
                    back: back,
                    side: side, number: index + 1)
            },
            outcome: trajectory.ending.map { ending in
                let words =
                    switch ending {
                    case .answered: "Answer"
                    case .forced: "Answer, asked for when no step was left"
                    case .gaveUp(let reason): "Gave up (\(VisibleText.line(reason)))"
                    case .failed(let reason): "The run broke (\(VisibleText.line(reason)))"
                    }
                return Outcome(
                    answer: VisibleText(trajectory.answer ?? "", place: place("answer", nil)),
                    isNone: trajectory.answer == nil, ending: words)
            })
    }
}
