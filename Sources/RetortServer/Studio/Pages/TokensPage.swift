import RetortRecipes

/// A trajectory as the tokens that students were trained on: which were learned, and which were only shown.
struct TokensPage: Sendable {
    struct Token: Sendable {
        let id: Int32
        let text: String
        let isLearned: Bool
    }

    struct Sample: Sendable {
        let training: String
        let learned: String
        let all: String
        let tokens: [Token]
        let isCut: Bool
    }

    let run: String
    let runHref: String
    let trajectoryHref: String
    let id: String
    let samples: [Sample]

    private static let most = 8000

    init(_ place: TrajectoryPage.Address) throws {
        (run, runHref) = (place.run.name, "/runs/\(place.run.name)")
        trajectoryHref = place.run.address(of: place.id, in: place.set)
        id = VisibleText.line(place.id, upTo: 120)
        samples = try TrainedTokens.of(place.id, in: place.run.folder).map { sample in
            Sample(
                training: VisibleText.line(sample.training, upTo: 80),
                learned: Figure.count(sample.tokens.count { $0.isLearned }), all: Figure.count(sample.tokens.count),
                tokens: sample.tokens.prefix(Self.most).map {
                    Token(id: $0.id, text: VisibleText.visible($0.text), isLearned: $0.isLearned)
                }, isCut: sample.tokens.count > Self.most)
        }
    }
}
