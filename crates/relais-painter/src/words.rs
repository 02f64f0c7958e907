//! What a prompt asks for: the words that mean a subject, a time of day, the weather, a style or a colour.
//!
//! In English and in French, without accents and endings. Words that mean nothing here still choose: they are part of the seed.

use crate::color::Color;
use crate::noise::mix;

/// What is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Ranges behind each other.
    Mountains,
    /// Open water under the sky.
    Ocean,
    /// Water that mirrors mountains.
    Lake,
    /// Conifers in the mist.
    Forest,
    /// Towers with lit windows.
    City,
    /// Dunes.
    Desert,
    /// Hills in bloom.
    Meadow,
    /// Blossoms from above.
    Flowers,
    /// A nebula, perhaps with a planet.
    Space,
    /// Veils of colour.
    Abstract,
}

/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Pale and cool.
    Dawn,
    /// Blue sky.
    Day,
    /// The sun is low.
    Sunset,
    /// Stars and a moon.
    Night,
    /// Night, with veils of light.
    Aurora,
}

/// How it is painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As a lens sees it.
    Smooth,
    /// In strokes of a brush.
    Oil,
    /// In few flat colours.
    Poster,
    /// In large squares.
    Pixel,
}

/// All that a prompt says.
#[derive(Clone, Debug, PartialEq)]
pub struct Wishes {
    /// What.
    pub subject: Subject,
    /// When.
    pub time: Time,
    /// How.
    pub style: Style,
    /// Haze, 0 to 1.
    pub mist: f32,
    /// How much of the sky is covered, 0 to 1.
    pub clouds: f32,
    /// White ground.
    pub snow: bool,
    /// A planet, in space.
    pub planet: bool,
    /// A colour that was named.
    pub tint: Option<Color>,
    /// A number that all words and the seed share in.
    pub seed: u64,
}

const SUBJECTS: &[(&str, Subject)] = &[
    (
        "mountain montagne peak alp himalaya summit sommet volcan cliff valley vallee",
        Subject::Mountains,
    ),
    (
        "ocean sea mer wave vague beach plage island coast cote boat bateau ship sail",
        Subject::Ocean,
    ),
    (
        "lake lac river riviere fjord pond etang reflection reflet water eau waterfall",
        Subject::Lake,
    ),
    (
        "forest foret tree arbre wood bois jungle pine sapin wolf loup deer fox bear",
        Subject::Forest,
    ),
    (
        "city ville skyline town street rue building tower tour cyberpunk paris tokyo york neon robot car urban",
        Subject::City,
    ),
    (
        "desert dune sand sable sahara camel egypt canyon mars",
        Subject::Desert,
    ),
    (
        "meadow field champ prairie hill colline countryside campagne grass garden jardin village farm horse cheval cow",
        Subject::Meadow,
    ),
    (
        "flower fleur rose blossom tulip lotus daisy bouquet petal orchid poppy dahlia",
        Subject::Flowers,
    ),
    (
        "space espace galaxy galaxie nebula star etoile cosmos universe planet astronaut rocket",
        Subject::Space,
    ),
    (
        "abstract abstrait pattern motif fluid marble swirl fractal dream reve silk wallpaper texture",
        Subject::Abstract,
    ),
];

const TIMES: &[(&str, Time)] = &[
    (
        "sunset coucher dusk crepuscule evening soir golden autumn automne fire feu",
        Time::Sunset,
    ),
    (
        "dawn aube sunrise lever morning matin pastel spring",
        Time::Dawn,
    ),
    (
        "night nuit moon lune midnight minuit dark sombre starry stars neon cyberpunk halloween",
        Time::Night,
    ),
    (
        "aurora aurore northern boreal magic magique fantasy",
        Time::Aurora,
    ),
    ("day jour noon midi sunny soleil summer ete blue", Time::Day),
];

const STYLES: &[(&str, Style)] = &[
    (
        "oil painting peinture impressionist impressionniste brush gogh monet watercolor aquarelle canvas painted huile",
        Style::Oil,
    ),
    (
        "poster flat minimal minimalist vector affiche minimaliste illustration",
        Style::Poster,
    ),
    ("pixel 8bit 8-bit retro", Style::Pixel),
];

const COLORS: &[(&str, u32)] = &[
    ("red rouge crimson scarlet", 0xE0_3A3E),
    ("orange amber", 0xF0_8A2C),
    ("yellow jaune gold or", 0xF2_C230),
    ("green vert emerald", 0x3F_A75A),
    ("teal turquoise cyan", 0x2A_B3A6),
    ("blue bleu azure", 0x3A_74D8),
    ("purple violet mauve lavender lavande", 0x8A_4FD0),
    ("pink rose magenta", 0xE8_5FA8),
];

impl Wishes {
    /// Reads a prompt. What the negative prompt names is not chosen.
    pub fn read(prompt: &str, negative: &str, seed: u64) -> Self {
        let (words, unwanted) = (split(prompt), split(negative));
        let words: Vec<String> = words
            .into_iter()
            .filter(|word| !unwanted.contains(word))
            .collect();
        let all = words.iter().fold(0, |all, word| mix(all, digest(word)));
        let seed = mix(seed, all);
        let named = |list: &str| words.iter().any(|word| means(list, word));
        let refused = |list: &str| unwanted.iter().any(|word| means(list, word));
        let subject = first(&words, SUBJECTS).unwrap_or_else(|| {
            let free: Vec<Subject> = SUBJECTS
                .iter()
                .filter(|(list, _)| !refused(list))
                .map(|(_, one)| *one)
                .collect();
            free.get(mix(all, 7) as usize % free.len().max(1))
                .copied()
                .unwrap_or(Subject::Abstract)
        });
        let time = first(&words, TIMES).unwrap_or_else(|| match (subject, mix(seed, 8) % 4) {
            (Subject::City, 0..=2) => Time::Night,
            (_, 0) => Time::Dawn,
            (_, 1) => Time::Day,
            _ => Time::Sunset,
        });
        let chance = |salt| crate::noise::unit(seed, salt);
        Self {
            subject,
            time,
            style: first(&words, STYLES).unwrap_or(Style::Smooth),
            mist: match named("mist fog brume brouillard haze misty foggy") {
                true => 0.9,
                false => 0.25 + 0.35 * chance(9),
            },
            clouds: match (
                named("storm orage cloud nuage rain pluie cloudy"),
                named("clear clair minimal"),
            ) {
                (true, _) => 0.8,
                (_, true) => 0.05,
                _ => 0.15 + 0.45 * chance(10),
            },
            snow: named("snow neige winter hiver snowy ice glace christmas noel"),
            planet: named("planet planete world monde saturn jupiter moon lune mars"),
            tint: first(&words, COLORS).map(Color::hex),
            seed,
        }
    }
}

fn first<T: Copy>(words: &[String], table: &[(&str, T)]) -> Option<T> {
    let of = |word: &String| table.iter().find(|(list, _)| means(list, word));
    words.iter().find_map(|word| of(word).map(|(_, one)| *one))
}

/// Whether a word is one of a list, in the singular or in the plural.
fn means(list: &str, word: &str) -> bool {
    let singular = word.strip_suffix('s').unwrap_or(word);
    list.split(' ').any(|one| one == word || one == singular)
}

fn split(text: &str) -> Vec<String> {
    let plain = |letter: char| match letter {
        'à' | 'â' | 'ä' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'î' | 'ï' => 'i',
        'ô' | 'ö' => 'o',
        'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        other => other,
    };
    let text: String = text
        .chars()
        .flat_map(char::to_lowercase)
        .map(plain)
        .collect();
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// FNV-1a.
fn digest(word: &str) -> u64 {
    word.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_subject_time_style_and_weather_in_two_languages() {
        let wishes = Wishes::read("Coucher de soleil sur la mer, peinture à l'huile", "", 1);
        assert_eq!(
            (wishes.subject, wishes.time, wishes.style),
            (Subject::Ocean, Time::Sunset, Style::Oil)
        );
        let wishes = Wishes::read("Snowy MOUNTAINS at night, foggy", "", 1);
        assert_eq!(
            (wishes.subject, wishes.time, wishes.snow),
            (Subject::Mountains, Time::Night, true)
        );
        assert!(wishes.mist > 0.8);
    }

    #[test]
    fn what_the_negative_prompt_names_is_not_chosen() {
        assert_eq!(
            Wishes::read("a city in the forest", "city", 1).subject,
            Subject::Forest
        );
        for word in ["zorglub", "cat", "qwerty"] {
            assert_ne!(Wishes::read(word, "flowers", 1).subject, Subject::Flowers);
        }
    }
}
