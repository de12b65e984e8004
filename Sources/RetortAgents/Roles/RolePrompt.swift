import RetortCore

/// What each role is told, around the dialogue.
struct RolePrompt {
    let role: AgentRole
    let instructions: Instructions
    let callForm: RoleView.CallForm

    /// The tools, a line each; nil when there are none.
    func documents(_ tools: [ToolDocument]) -> String? {
        guard !tools.isEmpty else { return nil }
        return switch instructions {
        case .brief: tools.map(\.signature).joined(separator: "\n")
        case .full:
            (["These are the APIs you can use, one a line, with their parameters:"] + tools.map(\.line))
                .joined(separator: "\n")
        }
    }

    /// What the role is asked to write now.
    func request(tools: [ToolDocument]) -> String {
        switch instructions {
        case .brief: brief
        case .full: full(tools.map(\.name).joined(separator: ", "))
        }
    }

    /// A word: a student of a million parameters has learned the rest, and little room for more.
    private var brief: String {
        switch role {
        case .planner: "Plan."
        case .caller: "Call."
        case .summarizer: "Answer."
        case .backbone: "Act."
        }
    }

    private func full(_ names: String) -> String {
        switch (role, callForm) {
        case (.planner, _):
            """
            You plan the work on the user's request; others carry it out. Say in a few sentences what has been found and \
            what should be done next. Then end with exactly one of these decisions:
            Next: caller. – when another call is needed, which the caller will write from your words
            Next: conclusion. – when all that is asked for is known, or no call can bring more
            Next: give up. – when the request cannot be fulfilled with these APIs
            """
        case (.caller, .json):
            """
            You write the call that the planner's last words ask for, in exactly this form:
            Action: the name of one API, one of \(names)
            Action Input: its arguments as a JSON object
            """
        case (.caller, .program):
            """
            You write the Python program that the planner's last words ask for, between a line ```py and a line ```. Print \
            what is to be seen. Variables of earlier programs are still there.
            """
        case (.summarizer, _):
            "The work is done. Answer the user's request from what was observed, completely and without making anything up."
        case (.backbone, .json):
            """
            Say in a few sentences what has been found and what should be done next. Then do one thing only: either call \
            an API in this form
            Action: the name of one API, one of \(names)
            Action Input: its arguments as a JSON object
            or, when all that is asked for is known, write
            conclusion: the answer for the user
            or, when the request cannot be fulfilled, write
            conclusion: give up.
            """
        case (.backbone, .program):
            """
            Say in a few sentences what should be done next. Then either write one Python program between a line ```py and \
            a line ```, or, when the answer is known, write
            conclusion: the answer
            or, when there is none to be had, write
            conclusion: give up.
            """
        }
    }
}
